"""The readers of files: their valid files, which of these are damaged and how, and the commands that read them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING

from fuzzing import checkpoint_lies, containers, fixtures, lies, mutations, onnx_lies
from fuzzing.damage import damaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from fuzzing.damage import Damage
    from fuzzing.fixtures import Files


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        make: functions that make valid files; one is drawn.
        damaged: patterns for the names of the files that are damaged.
        lies: damages that depend on the meaning of the files.
        commands: the commands that read the files in their folder; the first is tried as a whole command.
        also: a function that reads the same files in their folder.
        special: whether a file may also be a pipe, a device or a folder, or be missing.
    """

    make: tuple[Callable[[], Files], ...]
    damaged: tuple[str, ...]
    lies: tuple[Damage, ...]
    commands: tuple[str, ...]
    also: Callable[[], object] | None = None
    special: bool = True

    def files(self, random: Random) -> Files:
        """Return valid files."""
        return dict(random.choice(self.make)())

    def spoil(self, random: Random, files: Files) -> str:
        """Damage one of the files, and return its name."""
        name = random.choice(self.targets(files))
        files[name] = damaged(random, files[name], *self.lies)
        return name

    def targets(self, files: Files) -> list[str]:
        """Return the names of the files that may be damaged."""
        return [name for name in files if any(fnmatch(name, pattern) for pattern in self.damaged)]


def training_data(net: str, data: str) -> None:
    """Read data as `train` does."""
    import netdsl
    from netdsl.recipe.settings import Settings
    from netdsl.training.samples.opening import open_data

    graph = netdsl.load(net).graph
    open_data(data, graph, Settings(batch=2), sizes={"H": 8, "W": 8} if net == "n.net" else {}, workers=0)


def source(random: Random, data: bytes) -> bytes:
    """Return another program, mostly a wrong one."""
    return (
        damaged(random, mutations.mutated(random).encode("utf-8", "surrogatepass")) if random.random() < 0.7 else data
    )


def _weights(file: str) -> tuple[str, str]:
    return f"weights {file} -o out.npz", f"compile n.net --weights {file} -o out.onnx --quiet"


_models = (fixtures.model, fixtures.foreign_model)
_onnx: tuple[Damage, ...] = (onnx_lies.field, onnx_lies.field, onnx_lies.text)
_zip: tuple[Damage, ...] = (containers.archive,)
_checkpoint: tuple[Damage, ...] = (containers.archive, containers.archive, checkpoint_lies.odd)

RESUME = "train table.net --data d.csv -o run --resume --quiet"
"""The command that resumes a run of one epoch, which is finished."""

READERS: dict[str, Reader] = {
    ".net": Reader((fixtures.net,), ("n.net",), (source,), ("check n.net", "summary n.net")),
    "ONNX, run": Reader(_models, ("m.onnx",), _onnx, ("run m.onnx x.npy",)),
    "ONNX, bench": Reader(
        (fixtures.model,), ("m.onnx",), _onnx, ("bench m.onnx --runs 1 --warmup 0 --size H=8 --size W=8",)
    ),
    "ONNX, inspect": Reader(_models, ("m.onnx",), _onnx, ("inspect m.onnx x.npy -o out.html",)),
    "ONNX, weights": Reader(_models, ("m.onnx",), _onnx, _weights("m.onnx")),
    "ONNX, external data": Reader(
        (fixtures.external_model,), ("m.onnx", "m.onnx*"), _onnx, (*_weights("m.onnx"), "run m.onnx x.npy")
    ),
    "safetensors": Reader(
        (fixtures.safetensors_weights,), ("w.*",), (lies.safetensors_header,), _weights("w.safetensors")
    ),
    "safetensors, index": Reader(
        (partial(fixtures.sharded, "safetensors"),),
        ("*.json", "*.json", "*.safetensors"),
        (lies.json_value,),
        _weights("model.safetensors.index.json"),
    ),
    "npz, weights": Reader((fixtures.npz_weights,), ("w.npz",), _zip, _weights("w.npz")),
    "PyTorch, zip": Reader(
        (fixtures.pytorch_weights, *(partial(fixtures.pytorch_weights, key) for key in ("state_dict", "model"))),
        ("w.pt",),
        _checkpoint,
        _weights("w.pt"),
    ),
    "PyTorch, legacy": Reader(
        (fixtures.legacy_weights,), ("w.pt",), (containers.pickle_global, checkpoint_lies.odd), _weights("w.pt")
    ),
    "PyTorch, index": Reader(
        (partial(fixtures.sharded, "pytorch"),),
        ("*.json", "*.json", "*.bin"),
        (lies.json_value,),
        _weights("pytorch_model.bin.index.json"),
    ),
    "npy": Reader(_models, ("x.npy",), (lies.array_header,), ("run m.onnx x.npy",)),
    "npz, inputs": Reader(
        (lambda: fixtures.model() | {"x.npz": fixtures.archive(x=fixtures.random_image())},),
        ("x.npz",),
        _zip,
        ("run m.onnx x.npz",),
    ),
    "PNG": Reader(
        fixtures.pictured("PNG", "RGB", "L", "RGBA", "P", "1", "I;16", "LA"),
        ("x.png",),
        (lies.png_chunk,),
        ("run m.onnx x.png",),
    ),
    "JPEG": Reader(fixtures.pictured("JPEG", "RGB", "L", "CMYK"), ("x.jpg",), (), ("run m.onnx x.jpg",)),
    "TIFF": Reader(fixtures.pictured("TIFF", "RGB", "L", "F", "I;16", "I", "1"), ("x.tif",), (), ("run m.onnx x.tif",)),
    "GIF": Reader(fixtures.pictured("GIF", "RGB", "L"), ("x.gif",), (), ("run m.onnx x.gif",)),
    "BMP": Reader(fixtures.pictured("BMP", "RGB", "L", "1"), ("x.bmp",), (), ("run m.onnx x.bmp",)),
    "MNIST's files": Reader(
        (fixtures.idx,),
        ("d/*",),
        (lies.idx_header,),
        ("test grey.onnx --data d",),
        partial(training_data, "grey.net", "d"),
    ),
    "MNIST's files, gzipped": Reader(
        (partial(fixtures.idx, ".gz"),),
        ("d/*",),
        (lies.gzipped,),
        ("test grey.onnx --data d",),
        partial(training_data, "grey.net", "d"),
    ),
    "CIFAR-10": Reader(
        (partial(fixtures.cifar, 10),),
        ("d/*",),
        (),
        ("test ten.onnx --data d",),
        partial(training_data, "ten.net", "d"),
    ),
    "CIFAR-100": Reader(
        (partial(fixtures.cifar, 100),),
        ("d/*",),
        (),
        ("test ten.onnx --data d",),
        partial(training_data, "ten.net", "d"),
    ),
    "npz, data": Reader(
        (fixtures.npz_data,),
        ("d.npz",),
        _zip,
        ("test n.onnx --data d.npz --size H=8 --size W=8",),
        partial(training_data, "n.net", "d.npz"),
    ),
    "CSV": Reader(
        (fixtures.table,),
        ("d.csv",),
        (lies.table_cell,),
        ("test table.onnx --data d.csv --split train",),
        partial(training_data, "table.net", "d.csv"),
    ),
    "folders of images": Reader(
        (fixtures.folders,),
        ("d/*",),
        (lies.png_chunk,),
        ("test n.onnx --data d --split train --size H=8 --size W=8",),
        partial(training_data, "n.net", "d"),
    ),
    "run, metrics.csv": Reader(
        (fixtures.run,), ("run/metrics.csv",), (lies.table_cell,), ("plot curves run -o out.png",)
    ),
    "run, run.json": Reader(
        (fixtures.run,),
        ("run/run.json",),
        (lies.json_value,),
        (RESUME, f"{RESUME} --set train.epochs=2"),
    ),
    "run, last.ckpt": Reader(
        (fixtures.run,),
        ("run/last.ckpt",),
        _checkpoint,
        (RESUME, f"{RESUME} --set train.epochs=2", "weights run/last.ckpt -o out.npz"),
    ),
}
"""All readers by name; a new reader is a new entry."""


def lay(files: Files, folder: Path) -> None:
    """Write files to a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
