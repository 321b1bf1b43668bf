"""A whole training run: from a graph and data to a folder with checkpoints, weights, figures and an ONNX model."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from safetensors.torch import save
from torch import nn

from netdsl import recipe
from netdsl.backends.onnx import lower as lower_to_onnx
from netdsl.backends.onnx_file import write
from netdsl.backends.torch import lower as lower_to_torch
from netdsl.diagnostics import fail
from netdsl.files import read_file, reading, whole_file
from netdsl.ir.deciding import described, normalization
from netdsl.ir.meaning import Meaning
from netdsl.ir.printer import print_graph
from netdsl.outputs import need_unread, replaceable
from netdsl.packages import works
from netdsl.passes import optimize
from netdsl.passes.standardize import standardize
from netdsl.pictures.curves import METRICS, draw_curves
from netdsl.pictures.drawing import save as save_picture
from netdsl.runtime.torch_device import torch_device
from netdsl.training.augment import make_augment
from netdsl.training.data.targets import need_one_class
from netdsl.training.loop import BEST, LAST, fit
from netdsl.training.task import Task
from netdsl.version import __version__
from netdsl.weights import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.runtime.devices import Device
    from netdsl.training.data.opening import Data
    from netdsl.training.history import Row
    from netdsl.training.settings import Settings
    from netdsl.weights import Array

DESCRIPTION = "run.json"
"""What a run was asked to do."""
MOST_DESCRIPTION = 2**24
"""Bytes that it has at most."""
STATE = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch", "global_step",
         "pytorch-lightning_version")  # fmt: skip
"""What a checkpoint holds that a run can go on from."""
WEIGHTS = "weights.safetensors"
CURVES = "curves.png"
"""Loss and accuracy of the epochs; drawn where matplotlib is installed."""


@dataclass(frozen=True)
class Run:
    """What has come of a training run.

    Attributes:
        folder: where everything lies.
        history: the figures of each epoch.
        weights: the weights after the last epoch, or after the best one where training stopped early.
        model: the ONNX model with these weights.
    """

    folder: Path
    history: tuple[Row, ...]
    weights: Path
    model: Path


@dataclass(frozen=True)
class Machine:
    """What a run is computed on and how; the words are those of pytorch_lightning.Trainer."""

    accelerator: str = "cpu"
    devices: int | list[int] = 1
    strategy: str = "auto"
    num_nodes: int = 1
    precision: str = "32-true"
    compile: bool = False
    channels_last: bool = False

    @staticmethod
    def on(device: Device, processes: int = 1, **options: Any) -> Machine:
        """So many processes on a device and those after it; `options` are further fields.

        Raises:
            NetdslError: PyTorch cannot use the device (E0904).
        """
        if torch_device(device).type == "cpu":
            return Machine("cpu", processes, **options)
        return Machine("cuda", [*range(device.ordinal, device.ordinal + processes)], **options)


def prepared(graph: Graph, data: Data) -> Graph:
    """The graph that is trained: it normalizes its input by the statistics of the data, and knows what they mean."""
    if data.mean:
        graph = standardize(graph, data.mean, data.std)
    mean, std = normalization(graph) or ((), ())
    meaning = Meaning({graph.inputs[0].name: data.takes}, {**graph.meaning.outputs, **data.gives}, mean, std)
    return replace(graph, labels=graph.labels or data.labels, meaning=meaning)


def train(  # noqa: PLR0913 - each of them is a choice of its own
    graph: Graph,
    settings: Settings,
    data: Data,
    folder: Path,
    *,
    machine: Machine = Machine(),
    weights: Callable[[Param], Array] | None = None,
    freeze: tuple[str, ...] = (),
    resume: bool = False,
    tell: Callable[[Row], None] = lambda _: None,
    **options: Any,
) -> Run | None:
    """Train a net.

    Args:
        graph: the net, as `prepared` gives it.
        settings: the recipe.
        data: what to learn from, and to judge each epoch by.
        folder: where to write; made if need be.
        machine: where and how to compute.
        weights: initial values; None draws them as the recipe says.
        freeze: patterns (`features.*`) of parameters that keep their values.
        resume: go on from the folder's last checkpoint.
        tell: is called with the figures of each epoch.
        options: `tensorboard` and `bar` of `netdsl.training.loop.fit`.

    Returns:
        What was written; None in all processes but the first.

    Raises:
        NetdslError: the folder holds a run (E1101), or none to go on from (E1102); a file cannot be written.
    """
    need_one_class(data.train.targets, settings.loss)
    description = _describe(graph, settings)
    for name in (DESCRIPTION, LAST, BEST, METRICS, WEIGHTS, f"{graph.name}.onnx", CURVES):
        need_unread(folder / name)
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined] # Lightning sets it
        _prepare(folder, description, resume=resume)
    net = lower_to_torch(graph, initializer(settings) if weights is None else weights)
    frozen = _freeze(net, freeze)
    if machine.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # its stub lacks it
    if machine.compile:
        net.compile()
    task = Task(net, graph, settings, make_augment(settings.augment, graph.inputs[0].type), frozen)
    chosen = {key: value for key, value in asdict(machine).items() if key not in ("compile", "channels_last")}
    trainer = fit(task, data.train, data.val, folder, resume=resume, tell=tell, **chosen, **options)
    if not trainer.is_global_zero:
        return None
    if settings.early_stop is not None:
        with reading(folder / BEST, "E1102", "whole, as the run left it", "train again"):
            best = torch.load(folder / BEST, weights_only=True)["state_dict"]
        task.load_state_dict(best)
    state = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    saved, model = folder / WEIGHTS, folder / f"{graph.name}.onnx"
    with whole_file(saved) as file:
        file.write(save(state, {"net": graph.name, "netdsl": __version__, **described(graph).as_metadata()}))
    write(lower_to_onnx(optimize(graph, 1)), model, lambda param: state[param.name].numpy())
    if works("matplotlib.figure"):
        save_picture(draw_curves(task.history, graph.name), folder / CURVES)
    return Run(folder, tuple(task.history), saved, model)


def initializer(settings: Settings) -> Initializer:
    """What draws the initial values that a recipe asks for."""
    match settings.init:
        case recipe.Normal(std):
            return Initializer("normal", settings.seed, std)
        case recipe.He():
            return Initializer("he", settings.seed)
        case recipe.Xavier():
            return Initializer("xavier", settings.seed)
    return Initializer("pytorch", settings.seed)


def _describe(graph: Graph, settings: Settings) -> dict[str, Any]:
    """What must be the same for a run to be resumed: the net, and the recipe except for an end it does not aim at."""
    aimed = isinstance(settings.schedule, recipe.Linear | recipe.Cosine)
    open_end = {"early_stop"} if aimed else {"early_stop", "epochs"}
    entries = {key: repr(value) for key, value in vars(settings).items() if key not in open_end}
    return {"net": graph.name, "graph": sha256(print_graph(graph).encode()).hexdigest(), "recipe": entries}


def _prepare(folder: Path, description: dict[str, Any], *, resume: bool) -> None:
    """Make the folder of a new run, or see that the run in it can be resumed."""
    file = folder / DESCRIPTION
    if not resume:
        if (folder / LAST).exists():
            raise fail(
                "E1101",
                f"`{folder}` holds a run already",
                help="go on with it by `--resume`, or choose another folder by `-o`",
            )
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as out:
            out.write(json.dumps(description, indent=2).encode())
        return
    if not (folder / LAST).exists() or not file.exists():
        raise fail("E1102", f"`{folder}` holds no run to resume", help="leave out `--resume` to begin one")
    known = _known(folder)
    different = [key for key, value in description["recipe"].items() if known["recipe"].get(key) != value]
    if known["graph"] != description["graph"]:
        different.insert(0, "the net")
    if different:
        raise fail(
            "E1102",
            f"the run in `{folder}` differs in {', '.join(different)}",
            help="resume it with what it began with",
        )


def _known(folder: Path) -> dict[str, Any]:
    """What the run in a folder was asked to do, if its files can be read."""
    whole = "whole, as a run left it", "begin anew in another folder"
    with replaceable():
        with reading(folder / DESCRIPTION, "E1102", *whole):
            known: dict[str, Any] = json.loads(read_file(folder / DESCRIPTION, MOST_DESCRIPTION))
            known["recipe"].items(), known["graph"]
        with reading(folder / LAST, "E1102", *whole):
            last = torch.load(folder / LAST, weights_only=True, mmap=True)
            if missing := [key for key in STATE if key not in last]:
                raise ValueError(f"it has no {', '.join(f'`{key}`' for key in missing)}")
    return known


def _freeze(net: nn.Module, patterns: tuple[str, ...]) -> tuple[nn.Module, ...]:
    """Take the parameters that match out of training; gives the layers that have none left to train."""
    params = dict(net.named_parameters())
    for pattern in patterns:
        chosen = fnmatch.filter(params, pattern)
        if not chosen:
            raise fail(
                "E1103",
                f"no parameter is called `{pattern}`",
                help=f"the first of {len(params)} is `{next(iter(params))}`; a pattern may hold `*`",
            )
        for name in chosen:
            params[name].requires_grad_(False)
    owners = (module for module in net.modules() if [*module.parameters(recurse=False)])
    return tuple(owner for owner in owners if not any(param.requires_grad for param in owner.parameters(recurse=False)))
