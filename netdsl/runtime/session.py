"""Running models in onnxruntime, on the device that was asked for and no other.

onnxruntime itself answers a device it cannot use with a warning and the CPU; a `Session` stops and says
what is missing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import NetdslError, fail
from netdsl.files import impostor
from netdsl.ir.constraint import Constraint
from netdsl.ir.deciding import default_gives, default_takes
from netdsl.ir.meaning import MEANING, ORDERS, Gives, Meaning, Pixels, Tokens, from_metadata
from netdsl.runtime.devices import PROVIDERS, Device, need_device, not_loading, providers, unavailable
from netdsl.runtime.foreign import gives_of
from netdsl.runtime.ports import Port
from netdsl.runtime.sizes import computed, refusal
from netdsl.runtime.taking import taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np


class Session:
    """A model loaded in onnxruntime.

    Args:
        model: an ONNX file.
        device: `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.
        tf32: let CUDA multiply float32 with ten bits of mantissa.
        cuda_graph: record the kernels once and replay them (fixed shapes and addresses only).
        optimize: let onnxruntime rewrite the model before it runs it.
        profile: prefix of a file that gets the time of every node.

    Raises:
        NetdslError: the file cannot be read (E0901) or is no usable model (E0905), the device is not available (E0904),
            onnxruntime is not installed (E0907).
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        device: str = "cpu",
        *,
        tf32: bool = True,
        cuda_graph: bool = False,
        optimize: bool = True,
        profile: str | None = None,
    ) -> None:
        self.path = Path(model)
        self.device = Device.parse(device)
        ort = _onnxruntime()
        _need_model(self.path)
        need_device(ort, self.device)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, and told by us
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, profile
        chosen = providers(self.device, tf32=tf32, cuda_graph=cuda_graph)
        try:
            self.ort = ort.InferenceSession(os.fspath(self.path), options, providers=chosen, enable_fallback=0)
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise self._load_error(ort, error) from error
        if self.ort.get_providers()[0] != PROVIDERS[self.device.kind]:
            raise unavailable(self.device, not_loading(ort, self.device) or "onnxruntime could not start it")
        self.metadata: dict[str, str] = dict(self.ort.get_modelmeta().custom_metadata_map)
        self.meaning = self._meaning()
        self.inputs = tuple(self._input(argument) for argument in self.ort.get_inputs())
        self.outputs = tuple(map(_port, self.ort.get_outputs()))
        self.constraints = self._constraints()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, as the net's `labels` gave them."""
        return self.meaning.labels

    @cached_property
    def known(self) -> Mapping[str, Gives]:
        """What is known of the outputs: what the model says, or, of a model of others, its last operators."""
        return self.meaning.outputs if MEANING in self.metadata else gives_of(self.path)

    def gives(self, output: Port) -> Gives:
        """What an output is; where nothing is known, logits of classes if it is a vector, or else values."""
        return self.known.get(output.name) or default_gives(output.shape[1:])

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """The outputs by name for one array for each input, the batch included.

        An array of bytes (uint8) is images where an input takes pixels, N x height x width and the channels last or
        first, and numbers where it does not. Other arrays are the model's own numbers; images among them may have the
        channels last, too.

        Raises:
            NetdslError: the arrays are not what the model takes (E0906).
            MemoryError: the device has not enough memory.
        """
        ports = {port.name: port for port in self.inputs}
        feeds = {name: taken(array, ports[name]) if name in ports else array for name, array in feeds.items()}
        self.need_feeds(feeds)
        try:
            results = self.ort.run(None, feeds)
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise self.run_error(error) from error
        return {port.name: result for port, result in zip(self.outputs, results, strict=True)}

    def need_feeds(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Refuse arrays that are not what the model takes (E0906)."""
        wanted = {port.name for port in self.inputs}
        if missing := wanted - set(feeds):
            raise self.input_error(f"no data for {_names(missing)}")
        if extra := set(feeds) - wanted:
            raise self.input_error(f"the model has no input {_names(extra)}")
        sizes: dict[str, int] = {}
        for port in self.inputs:
            array = feeds[port.name]
            if array.dtype.name != port.dtype:
                raise self.input_error(f"`{port.name}` takes {port.dtype}, not {array.dtype.name}")
            given = "x".join(map(str, array.shape)) or "a scalar"
            if array.ndim != len(port.shape):
                raise self.input_error(f"`{port.name}` takes {len(port.shape)} dimensions, not {array.ndim} ({given})")
            for axis, (size, due) in enumerate(zip(array.shape, port.shape, strict=True)):
                known = sizes.setdefault(due, size) if isinstance(due, str) else due
                if size != known:
                    raise self.input_error(f"axis {axis} of `{port.name}` has size {known}, not {size} (in {given})")
            if isinstance(port.asks, Tokens) and array.size:
                low, high = int(array.min()), int(array.max())
                if not 0 <= low <= high < port.asks.count:
                    raise self.input_error(
                        f"`{port.name}` takes {port.asks}, and has {low if low < 0 else high}",
                        "give the numbers by which the net was trained; its vocabulary has no other",
                    )
        if "netdsl.version" in self.metadata:
            self._need_formulas(sizes)
        if refused := refusal(self.constraints, sizes):
            raise self.input_error(*refused)

    def _need_formulas(self, sizes: Mapping[str, int]) -> None:
        """Refuse sizes that are not what their formula says; other programs name sizes as they like."""
        for text, size in sizes.items():
            value = computed(text, sizes)
            if value is not None and value != size:
                raise self.input_error(f"the size {text} is {value}, not {size}")

    def need_open(self, names: Iterable[str]) -> None:
        """Refuse names of sizes, the batch aside, that the model does not leave open (E0906)."""
        left = {size for port in self.inputs for size in port.shape[1:] if isinstance(size, str)}
        if unknown := set(names) - left:
            raise self.input_error(f"there is no open size {_names(unknown)}")

    def input_error(self, message: str, remedy: str | None = None) -> NetdslError:
        """E0906 with a list of what the model takes."""
        notes = tuple(f"the model takes {port}" for port in self.inputs)
        if self.constraints:
            notes += (f"where {', '.join(constraint.text for constraint in self.constraints)}",)
        return fail("E0906", f"`{self.path}`: {message}", notes=notes, help=remedy)

    def run_error(self, error: Exception) -> Exception:
        """What to raise for an error of onnxruntime while a model runs."""
        text = str(error)
        if "Failed to allocate memory" in text or "bad_alloc" in text or "out of memory" in text:
            return MemoryError(f"{self.device} has not enough memory for this batch")
        return self.input_error(f"onnxruntime cannot run this: {_reason(error)}")

    def _meaning(self) -> Meaning:
        """What the model says of its inputs and outputs."""
        try:
            return from_metadata(self.metadata) or Meaning()
        except ValueError as error:
            raise self._broken(error) from error

    def _input(self, argument: Any) -> Port:
        port = _port(argument)
        takes = self.meaning.inputs.get(port.name)
        due = default_takes(port.shape[1:], port.dtype)
        if isinstance(takes, Pixels) and not (isinstance(due, Pixels) and ORDERS[takes.order] == port.shape[1]):
            raise self._broken(f"`{takes}` cannot be put into {port}")
        return replace(port, takes=takes)

    def _broken(self, problem: object) -> NetdslError:
        return fail("E0905", f"`{self.path}` has broken metadata: {problem}", help="compile the net again")

    def _constraints(self) -> tuple[Constraint, ...]:
        """What the net's `where` said, which onnxruntime itself knows nothing of."""
        try:
            texts = json.loads(self.metadata.get("netdsl.constraints", "[]"))
            return tuple(map(Constraint.parse, texts))
        except (ValueError, TypeError) as error:
            raise self._broken(error) from error

    def _load_error(self, ort: Any, error: Exception) -> NetdslError:
        """Why onnxruntime did not load the model, or start the device."""
        text = str(error)
        if self.device.kind != "cpu" and any(word in text for word in ("ExecutionProvider", "CUDA", "TensorRT")):
            return unavailable(self.device, not_loading(ort, self.device) or _reason(error))
        if "xternal" in text and "data" in text.lower():
            return fail(
                "E0905",
                f"the weights file of `{self.path}` is missing or too short: {_reason(error)}",
                help="a model larger than 2 GB keeps its weights in a second file, which must lie beside it",
            )
        if "IR version" in text or "opset" in text:
            return fail(
                "E0905",
                f"`{self.path}` is newer than onnxruntime {ort.__version__} can read: {_reason(error)}",
                help="`pip install -U onnxruntime`, or write the model with a lower opset",
            )
        if "Protobuf parsing failed" in text:
            return fail(
                "E0905",
                f"`{self.path}` is not a whole ONNX model: it was cut short, or is something else",
                help="write or download it again",
            )
        return fail("E0905", f"onnxruntime cannot load `{self.path}`: {_reason(error)}")


# ------------------------------------------------------------------------------------------------ how it is done


def _onnxruntime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise fail(
            "E0907",
            f"running a model needs onnxruntime: {error}",
            help="`pip install 'netdsl[cpu]'`, or `pip install 'netdsl[gpu]'` for NVIDIA GPUs",
        ) from error
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def _need_model(path: Path) -> None:
    """Refuse what is no model by its first bytes (E0905), or cannot be read (E0901)."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise fail("E0901", f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from error
    if path.suffix == ".net":
        raise fail("E0905", f"`{path}` is a net, and a model is due", help=f"`netdsl compile {path}` makes one")
    if not start:
        raise fail("E0905", f"`{path}` is empty", help="write or download it again")
    other = impostor(start)
    if start.startswith(b"PK\x03\x04"):
        other = "a zip archive, as PyTorch's checkpoints are", "`netdsl compile NET --weights` makes a model of it"
    if other:
        raise fail("E0905", f"`{path}` is {other[0]}, not an ONNX model", help=other[1])


_CPP_PLACE = re.compile(
    r"""[\w/.+-]+\.(?:cc|cpp|h):\d+\ +                                      # file and line, and then either
    (?:[^()]*::[^()]*\((?:[^()]|\([^()]*\))*\)(?:::\S+)?(?:\ const)?|\w+)\ +  # a whole signature or a bare name""",
    re.VERBOSE,
)


def _reason(error: Exception) -> str:
    """The telling part of an onnxruntime message, on one line, without its places in C++."""
    line = _CPP_PLACE.sub("", " ".join(str(error).split()))
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", "", line)[:300]


def _port(argument: Any) -> Port:
    shape = tuple(size if size is not None else f"{argument.name}.{axis}" for axis, size in enumerate(argument.shape))
    name = argument.type.removeprefix("tensor(").removesuffix(")")
    return Port(argument.name, shape, {"float": "float32", "double": "float64"}.get(name, name))


def _names(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
