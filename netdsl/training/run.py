"""A whole training run: from a graph and data to a folder with checkpoints, weights, metrics and an ONNX model."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import nn

from netdsl.backends.onnx.file import write
from netdsl.backends.torch.lower import lower as lower_to_torch
from netdsl.base.diagnostics import Diagnostic, fail
from netdsl.base.files import whole_file
from netdsl.base.outputs import need_unread
from netdsl.base.packages import need, works
from netdsl.base.version import __version__
from netdsl.compiler import compile_graph
from netdsl.ir.deciding import described, normalization
from netdsl.ir.dim import evaluate, product, symbols
from netdsl.ir.meaning import Meaning
from netdsl.passes.standardize import standardize
from netdsl.plots.curves import METRICS, draw_curves
from netdsl.plots.drawing import save as save_picture
from netdsl.recipe import words as recipe
from netdsl.training.augment import make_augment
from netdsl.training.claim import BEST, LAST, need_fitting
from netdsl.training.description import describe, need_same
from netdsl.training.history import write_history
from netdsl.training.last import need_finite, read_last, read_weights
from netdsl.training.machine import ONE_CPU, Machine, first_process
from netdsl.training.plan import plan
from netdsl.training.record import DESCRIPTION
from netdsl.training.samples.batches import smallest
from netdsl.training.samples.targets import need_one_class
from netdsl.weights.initial import Initializer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.recipe.settings import Settings
    from netdsl.training.history import Row
    from netdsl.training.last import Last
    from netdsl.training.samples.opening import Data
    from netdsl.weights.initial import Array

WEIGHTS = "weights.safetensors"
CURVES = "curves.png"
"""The plot of loss and accuracy over the epochs, drawn if matplotlib is installed."""


@dataclass(frozen=True)
class Run:
    """The result of a training run.

    Attributes:
        folder: the folder with all files.
        history: the metrics of each epoch.
        weights: the weights after the epoch `exported`.
        model: the ONNX model with these weights.
        exported: the number of the exported epoch, from 1.
        best: the epoch with the lowest validation loss; None if no epoch may be selected because the test data served
            for validation.
    """

    folder: Path
    history: tuple[Row, ...]
    weights: Path
    model: Path
    exported: int
    best: int | None


def prepared(graph: Graph, data: Data) -> Graph:
    """Return the graph to train: it normalizes its input by the data's statistics, and has their meaning and labels."""
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
    machine: Machine = ONE_CPU,
    weights: Callable[[Param], Array] | None = None,
    freeze: tuple[str, ...] = (),
    export: str | None = None,
    resume: bool = False,
    announce: Callable[[Mapping[str, str]], None] = lambda _: None,
    warn: Callable[[Diagnostic], None] = lambda _: None,
    **options: Any,
) -> Run | None:
    """Train a net.

    Args:
        graph: the net, as `prepared` gives it.
        settings: the recipe.
        data: the training and validation samples.
        folder: the folder to write to, `claimed` by the caller; created if necessary.
        machine: the devices and processes.
        weights: initial values; None draws them by the recipe.
        freeze: patterns (`features.*`) of parameters that keep their values.
        export: the epoch that becomes the model: `best`, by its validation loss, or `last`; None takes the best, unless
            the test data serve for validation.
        resume: continue from the folder's last checkpoint.
        announce: called before the first epoch with a summary of the run, in words.
        warn: called with each warning.
        options: `report`, `tensorboard` and `bar` of `netdsl.training.loop.fit`.

    Returns:
        The files that were written; None in all processes but the first.

    Raises:
        NetdslError: the folder holds a run (E1101), or none to resume (E1102); there is nothing to train (E1103,
            E1106), initial weights are not finite (E1105), batches are too small (E1108); training diverges (E1104);
            a file cannot be written.
    """
    need_one_class(data.train.targets, settings.loss)
    need_fitting(folder, resume=resume)
    for name in (DESCRIPTION, LAST, BEST, METRICS, WEIGHTS, f"{graph.name}.onnx", CURVES):
        need_unread(folder / name)
    net = lower_to_torch(graph, initializer(settings) if weights is None else weights)
    need_finite(net)
    frozen = _freeze(net, freeze)
    least = 2 if _needs_two(graph, data, net, frozen) else 1
    skipped = _need_batches(data, settings, machine.processes, least)
    last = _begin(graph, settings, data, net, folder, machine, given=weights is not None, resume=resume)
    if first_process():
        for warning in skipped:
            warn(warning)
        announce(plan(graph, settings, data, net, machine, folder))
    choosing = data.held != "test"
    if last is not None and len(last.history) >= settings.epochs:
        history, values = last.history, last.weights
        if first_process():
            write_history(history, folder / METRICS)  # a run that was killed may not have written its last metrics
    else:
        history = _fit(net, graph, settings, data, folder, machine, frozen, least=least, choosing=choosing,
                       resume=resume, **options)  # fmt: skip
        values = net.state_dict()
    if not first_process():
        return None
    losses = [row["val_loss"] for row in history]
    best = losses.index(min(losses)) + 1 if choosing else None
    exported = len(losses) if best is None or export == "last" else best
    if exported != len(losses):
        values = read_weights(folder / BEST, net)
    saved, model = _export(graph, values, history, folder)
    return Run(folder, tuple(history), saved, model, exported, best)


def _begin(
    graph: Graph, settings: Settings, data: Data, net: nn.Module, folder: Path, machine: Machine, *, given: bool,
    resume: bool,
) -> Last | None:  # fmt: skip
    """Write the description of a new run; of a run to resume, compare it, and return the last checkpoint."""
    if first_process():
        description = describe(
            graph, settings, data, net, precision=machine.precision, processes=machine.processes, given=given
        )
        if resume:
            need_same(folder, description)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(folder / DESCRIPTION) as file:
                file.write(json.dumps(description, indent=2).encode())
    return read_last(folder, net) if resume else None


def _fit(
    net: nn.Module, graph: Graph, settings: Settings, data: Data, folder: Path, machine: Machine,
    frozen: tuple[nn.Module, ...], **options: Any,
) -> list[Row]:  # fmt: skip
    """Train the net in place; return the metrics of each epoch."""
    need("pytorch_lightning", "training")
    from netdsl.training.loop import fit  # noqa: PLC0415 - Lightning takes seconds, which a finished run saves
    from netdsl.training.task import Task  # noqa: PLC0415 - likewise

    if machine.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # its stub lacks it
    if machine.compile:
        net.compile()
    task = Task(net, graph, settings, make_augment(settings.augment, graph.inputs[0].type), frozen)
    chosen = {key: value for key, value in asdict(machine).items() if key not in ("compile", "channels_last")}
    fit(task, data.train, data.val, folder, **chosen, **options)
    return task.history


def _export(
    graph: Graph, values: Mapping[str, torch.Tensor], history: Sequence[Row], folder: Path
) -> tuple[Path, Path]:
    """Write the weights, the model and, if matplotlib is installed, the plot of the metrics."""
    state = {key: value.detach().cpu().contiguous() for key, value in values.items()}
    saved, model = folder / WEIGHTS, folder / f"{graph.name}.onnx"
    with whole_file(saved) as file:
        file.write(save(state, {"net": graph.name, "netdsl": __version__, **described(graph).as_metadata()}))
    write(compile_graph(graph), model, lambda param: state[param.name].numpy())
    if works("matplotlib.figure"):
        save_picture(draw_curves(history, graph.name), folder / CURVES)
    return saved, model


def initializer(settings: Settings) -> Initializer:
    """Return the initializer that a recipe asks for."""
    match settings.init:
        case recipe.Normal(std):
            return Initializer("normal", settings.seed, std)
        case recipe.He():
            return Initializer("he", settings.seed)
        case recipe.Xavier():
            return Initializer("xavier", settings.seed)
    return Initializer("pytorch", settings.seed)


def _freeze(net: nn.Module, patterns: tuple[str, ...]) -> tuple[nn.Module, ...]:
    """Exclude matching parameters from training; return the modules that have none left to train."""
    params = dict(net.named_parameters())
    if not params:
        raise fail("E1106", "the net has no parameters to train", help="train a net that has layers with weights")
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
    if not any(param.requires_grad for param in params.values()):
        listed = ", ".join(f"`{pattern}`" for pattern in patterns)
        raise fail("E1106", f"nothing is left to train: {listed or 'the net'} freezes all {len(params)} parameters",
                              help="leave at least the last layer trainable")  # fmt: skip
    owners = (module for module in net.modules() if [*module.parameters(recurse=False)])
    return tuple(owner for owner in owners if not any(param.requires_grad for param in owner.parameters(recurse=False)))


def _needs_two(graph: Graph, data: Data, net: nn.Module, frozen: tuple[nn.Module, ...]) -> bool:
    """Whether a layer needs batches of two samples, because it averages over one value per sample and channel."""
    sizes: dict[str, int] = {}
    for dim, size in zip(graph.inputs[0].type.shape, data.val.shape, strict=True):
        sizes |= dict.fromkeys(symbols(dim), size)
    for node in graph.nodes:
        if node.layer.batch_statistics and evaluate(product(node.type.shape[1:]), sizes) == 1:
            role, param = next(iter(node.params.items()))
            if net.get_submodule(param.name.removesuffix(f".{role}")) not in frozen:
                return True
    return False


def _need_batches(data: Data, settings: Settings, processes: int, least: int) -> tuple[Diagnostic, ...]:
    """Check that batches are large enough; return a warning (W0119) if the last one is not, and is left out."""
    count, step = len(data.train), settings.batch * processes
    if smallest(count, settings.batch, processes) >= least:
        return ()
    why = "a layer takes statistics over the batch, and one sample has only one value of each channel"
    if settings.batch < least or count < step:
        raise fail("E1108", "each process has batches of one sample", notes=(why,),
                   help="`--set train.batch=2`, or more in the recipe")  # fmt: skip
    left = count % step
    message = (
        f"{left} of {count:,} training samples, different ones in each epoch, {'is' if left == 1 else 'are'} left out"
    )
    fitting = next((size for size in range(settings.batch - 1, 1, -1) if smallest(count, size, processes) > 1), None)
    remedy = None if fitting is None else f"`--set train.batch={fitting}` takes all of them"
    return (Diagnostic("W0119", message, notes=(why, "and the last batch would have one sample"), help=remedy),)
