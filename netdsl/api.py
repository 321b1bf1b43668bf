"""The Python interface: load a net, inspect it, compile, train and verify it."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload
from warnings import warn

from netdsl.analysis.counts import count_macs, count_params
from netdsl.analysis.summarize import summarize
from netdsl.analysis.summary import headline
from netdsl.base.diagnostics import fail, render
from netdsl.base.files import whole_file
from netdsl.base.outputs import claim, inputs_kept
from netdsl.base.packages import need
from netdsl.base.resources import shipped
from netdsl.base.table import exact, short
from netdsl.compiler import Options, build, check, check_text
from netdsl.ir.dim import evaluate, symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import onnx
    from torch.fx import GraphModule

    from netdsl.analysis.summary import Summary
    from netdsl.base.diagnostics import Diagnostic
    from netdsl.compiler import Checked
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.ir.types import TensorType
    from netdsl.layers.base import Layer
    from netdsl.runtime.bench import Plan, Timing
    from netdsl.training.run import Run
    from netdsl.verification import Agreement
    from netdsl.weights.initial import Array
    from netdsl.weights.loading import CheckpointWeights

    Weights: TypeAlias = Callable[[Param], Array]


class Network:
    """A net without errors, made by `load` and `loads`.

    Attributes:
        graph: its typed graph.
        warnings: its warnings.
    """

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.graph: Graph = checked.graph
        self.warnings: tuple[Diagnostic, ...] = checked.warnings

    @property
    def name(self) -> str:
        """The net's name."""
        return self.graph.name

    @property
    def inputs(self) -> dict[str, TensorType]:
        """The types of the inputs by name, without the batch."""
        return {node.name: node.type for node in self.graph.inputs}

    @property
    def outputs(self) -> dict[str, TensorType]:
        """The types of the outputs by name, without the batch."""
        return {name: node.type for name, node in self.graph.outputs.items()}

    @property
    def layers(self) -> dict[str, Layer]:
        """The layers by their path, in the order of computation."""
        return {node.name: node.layer for node in self.graph.nodes if node.inputs or node.layer.kind != "input"}

    @cached_property
    def params(self) -> int:
        """The number of trainable parameters, including those of auxiliary heads; shared ones count once."""
        return count_params(self.graph)

    @cached_property
    def macs(self) -> Dim:
        """The number of multiply-accumulates per sample, as a formula if sizes are open."""
        return count_macs(self.graph)

    def summary(self) -> Summary:
        """Return shapes, parameters, MACs, memory and receptive field of every layer; they print as a table."""
        return summarize(self.graph)

    @overload
    def to_onnx(
        self,
        path: None = None,
        *,
        level: int = 1,
        training: bool = False,
        opset: int | None = None,
        batch: int | None = None,
        weights: Weights | str | os.PathLike[str] | None = None,
        key: str | None = None,
    ) -> onnx.ModelProto: ...

    @overload
    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        level: int = 1,
        training: bool = False,
        opset: int | None = None,
        batch: int | None = None,
        weights: Weights | str | os.PathLike[str] | None = None,
        key: str | None = None,
        external: bool | None = None,
    ) -> None: ...

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        level: int = 1,
        training: bool = False,
        opset: int | None = None,
        batch: int | None = None,
        weights: Weights | str | os.PathLike[str] | None = None,
        key: str | None = None,
        external: bool | None = None,
    ) -> onnx.ModelProto | None:
        """Write the net as an ONNX model.

        Args:
            path: the file to write; None returns the model instead.
            level: 0 writes the layers as they are in the file, 1 optimizes for inference.
            training: keep dropout and batch norm in training mode, and the auxiliary outputs.
            opset: the opset, from 13 to 21; None takes the lowest in which every layer has its best form.
            batch: a fixed batch size; None leaves it open.
            weights: a function that returns the array of a parameter, or the path of a checkpoint, whose warnings
                become Python warnings; None draws initial values as PyTorch does, from seed 0. A checkpoint of netdsl
                also contains the mean and deviation of the net's input and the names of the classes, which are
                restored.
            key: the key of the weights in the checkpoint (`ema.state_dict`; `.` for the outermost); None takes the
                only place that fits.
            external: write the weights to a second file; None does so for models of 2 GB or more, which need it.

        Raises:
            NetdslError: the opset is out of range (E0908), a layer has no form in it (E0909), the file cannot be
                written, was read before, or has the ending of another format (E0902, E0903), or the checkpoint cannot
                be read or does not fit (E0901, E0911, E0912, E0918).
        """
        options = Options(level=level, training=training, opset=opset, batch=batch)
        if path is not None:
            self.write_onnx(path, options, weights, external=external, key=key)
            return None
        from netdsl.backends.onnx.file import assemble  # noqa: PLC0415 - only writing needs onnx

        with self._inputs_kept(weights), _values(weights, self.graph, training=training, key=key) as (graph, source):
            return assemble(build(graph, "onnx", options), source)

    def write_onnx(
        self,
        path: str | os.PathLike[str],
        options: Options,
        weights: Weights | str | os.PathLike[str] | None = None,
        *,
        external: bool | None = None,
        watch: Callable[[Weights, Graph], AbstractContextManager[Weights]] = lambda weights, _: nullcontext(weights),
        loaded: Callable[[CheckpointWeights], None] | None = None,
        **taking: Any,
    ) -> tuple[Graph, tuple[Path, ...]]:
        """Write the net as an ONNX model, as `to_onnx` does; return the compiled graph and the files.

        Args:
            path: the file.
            options: `level`, `training`, `opset` and `batch`.
            weights: as in `to_onnx`.
            external: as in `to_onnx`.
            watch: returns a context for writing the weights, given the function that returns them and the graph; the
                context returns the function that is used instead, for example to show progress.
            loaded: called with the weights that were read from a checkpoint; None turns their diagnostics into Python
                warnings.
            taking: how a checkpoint is read: `key`, `rename`, `partial` and `initial` of
                `netdsl.weights.loading.weights_from`.
        """
        from netdsl.backends.onnx.file import claim_model, write  # noqa: PLC0415 - only writing needs onnx

        with self._inputs_kept(weights):
            claim_model(Path(path), external=external)
            with _values(weights, self.graph, loaded, training=options.training, **taking) as (graph, source):
                lowered = build(graph, "onnx", options)
                with watch(source, graph) as values:
                    return graph, write(lowered, Path(path), values, external=external)

    def _inputs_kept(self, weights: Weights | str | os.PathLike[str] | None) -> AbstractContextManager[object]:
        """Return a context in which neither the net's files nor a checkpoint are overwritten."""
        file = [weights] if isinstance(weights, str | os.PathLike) else []
        return inputs_kept([*self.checked.files, *file])

    def to_torch(
        self, weights: Weights | str | os.PathLike[str] | None = None, *, key: str | None = None
    ) -> GraphModule:
        """Return the net as a torch.fx.GraphModule in training mode; submodules have the paths of the `.net` file.

        It takes the inputs in order and returns a tensor, or a dictionary of tensors by name if the net has
        several outputs. Auxiliary outputs exist only in training mode. Shared layers are shared modules.

        Args:
            weights: as in `to_onnx`; None draws the same initial values.
            key: as in `to_onnx`.

        Raises:
            NetdslError: a name in the net is an attribute of every torch.nn.Module (E0910), or the checkpoint cannot be
                read or does not fit (E0901, E0911, E0912, E0918), or PyTorch is not installed (E0907).
        """
        need("torch", "a PyTorch module")
        from netdsl.backends.torch.lower import lower  # noqa: PLC0415 - importing torch takes seconds

        with _values(weights, self.graph, training=True, key=key) as (graph, source):
            return lower(graph, source)

    def to_torch_source(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the source of a Python file with the net as a torch.nn.Module; it needs PyTorch, but not netdsl.

        Blocks become classes with the same parameters as in the `.net` file. The keys and shapes of the module's
        `state_dict` are those of `to_torch`, and with the same weights it computes the same.

        Args:
            path: the file to write the source to; None only returns it.

        Raises:
            NetdslError: a name in the net is a Python keyword, or an attribute of every torch.nn.Module (E0910);
                PyTorch is not installed (E0907); the net is nested too deep (E0702); the file cannot be written, was
                read before, or has the ending of another format (E0902, E0903).
        """
        with self._inputs_kept(None):
            if path is not None:
                claim(Path(path), "Python source")
            text = self._torch_source()
            if path is not None:
                with whole_file(Path(path)) as file:
                    file.write(text.encode())
            return text

    def _torch_source(self) -> str:
        need("torch", "writing a PyTorch module")
        from netdsl.backends.torch_source.module import eject  # noqa: PLC0415 - importing torch takes seconds

        try:
            return eject(self.checked.module, self.name, self.checked.arguments)
        except RecursionError:
            message = f"`{self.name}` is nested too deep to be written as Python"
            remedy = "shorten its chain of `let`s that are made of each other, or of blocks that call each other"
            raise fail("E0702", message, help=remedy) from None

    def verify(
        self,
        weights: Weights | str | os.PathLike[str] | None = None,
        *,
        key: str | None = None,
        loaded: Callable[[CheckpointWeights], None] | None = None,
        **options: Any,
    ) -> Agreement:
        """Compare PyTorch and onnxruntime with PyTorch in float64; the result prints as a table.

        Args:
            weights: as in `to_onnx`; None draws random ones under which every parameter matters.
            key: as in `to_onnx`.
            loaded: as in `write_onnx`.
            options: inputs, sizes, device and tolerance, as in `netdsl.verification.verify`.

        Raises:
            NetdslError: a package is missing (E0907), the device is not available (E0904), the inputs or sizes do not
                fit (E0906), or PyTorch cannot run the net (E0915).
        """
        from netdsl.verification import verify as verify_graph  # noqa: PLC0415 - it imports onnxruntime and torch

        if weights is None:
            return verify_graph(self.graph, None, **options)
        with _values(weights, self.graph, loaded, training=False, key=key) as (graph, source):
            return verify_graph(graph, source, **options)

    def bench(self, device: str = "cpu", plan: Plan | None = None) -> Timing:
        """Compile the net with initial weights, and measure it on random inputs.

        Args:
            device: the device: `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.
            plan: the settings; None takes the defaults of `netdsl.runtime.bench.Plan`.

        Raises:
            NetdslError: a package is missing (E0907), the device is not available (E0904), onnxruntime cannot run the
                net (E0905), or a size is missing or does not fit (E0906).
        """
        from netdsl.runtime.bench import Plan, bench  # noqa: PLC0415 - it imports numpy

        plan = Plan() if plan is None else plan
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}.onnx"
            self.to_onnx(path, batch=plan.batch)
            timing = bench(path, device, plan)
        known = symbols(self.macs) <= set(plan.sizes)
        return replace(timing, macs=evaluate(self.macs, plan.sizes)) if known else timing

    def train(
        self,
        data: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        changes: Mapping[str, Any] | None = None,
        device: str = "cpu",
        **options: Any,
    ) -> Run:
        """Train the net by its recipe, as `netdsl train` does, and write weights, metrics and an ONNX model.

        Args:
            data: `digits`, or a file or directory of data.
            folder: the folder to write to, created if necessary.
            changes: changes of the recipe: `{"lr": 0.05, "optimizer": "adam"}`, as in `--set train.lr=0.05`.
            device: the device: `cpu`, `cuda` or `cuda:N`.
            options: `weights`, `freeze`, `export`, `resume` and `report` of `netdsl.training.run.train`; `weights` may
                be the path of a checkpoint, as in `to_onnx`.

        Raises:
            NetdslError: a package is missing (E0907), the device is not available (E0904), a change is unknown or does
                not fit (E0801, E0803), the data do not fit (E1001 to E1009), the folder contains a run already
                (E1101), there is no run to resume (E1102), or the run fails (E1103 to E1108).
        """
        from netdsl.training import need_packages  # noqa: PLC0415 - only training needs it

        need_packages(Path(folder), resume=bool(options.get("resume")))
        from netdsl.runtime import Device  # noqa: PLC0415 - likewise
        from netdsl.training.machine import Machine  # noqa: PLC0415 - likewise
        from netdsl.training.start import train_by_recipe  # noqa: PLC0415 - likewise

        with inputs_kept(self.checked.files):
            machine = Machine.on(Device.parse(device))
            run = train_by_recipe(self.graph, data, folder, machine=machine, changes=changes, **options)
        assert run is not None  # noqa: S101 - None is for other processes than the first
        return run

    def __repr__(self) -> str:
        figures = f"{exact(self.params)} parameters, {short(self.macs)} MACs"
        return f"<net {headline(self.summary())}; {figures}>"

    def _repr_html_(self) -> str:
        return f"<b>{escape(self.name)}</b>{self.summary()._repr_html_()}"


def nets() -> tuple[str, ...]:
    """Return the names of the shipped nets, which `load` takes."""
    return tuple(shipped())


def load(spec: str | os.PathLike[str], **arguments: Any) -> Network:
    """Load a net.

    Args:
        spec: `file.net`, `file.net:name`, a path, or the name of a shipped net (`resnet50`).
        arguments: values for the net's parameters (`classes=10`).

    Raises:
        NetdslError: all errors found.
    """
    return Network(check(os.fspath(spec), arguments))


def loads(text: str, name: str = "<string>", net: str | None = None, **arguments: Any) -> Network:
    """Load a net from a string.

    Args:
        text: the program.
        name: the name of the program in errors.
        net: the net to load; None takes the only one.
        arguments: values for the net's parameters (`classes=10`).

    Raises:
        NetdslError: all errors found.
    """
    return Network(check_text(text, name, net, arguments))


def compile(spec: str | os.PathLike[str], path: str | os.PathLike[str], **options: Any) -> None:  # noqa: A001 - `netdsl.compile` reads well
    """Write a net as an ONNX file; `options` are those of `Network.to_onnx`."""
    load(spec).to_onnx(path, **options)


@contextmanager
def _values(
    weights: Weights | str | os.PathLike[str] | None,
    graph: Graph,
    loaded: Callable[[CheckpointWeights], None] | None = None,
    *,
    training: bool,
    key: str | None = None,
    **taking: Any,
) -> Iterator[tuple[Graph, Weights]]:
    """A context with the net, restored as it was trained, and a function that returns the array of a parameter.

    `loaded` is called at the end, when the values were read: only then is it known whether they are finite.
    """
    from netdsl.weights.initial import Initializer  # noqa: PLC0415 - inspecting a net needs no numpy

    if weights is None or callable(weights):
        if key is not None:
            raise TypeError("`key` belongs to a checkpoint, and `weights` is none")
        yield graph, Initializer() if weights is None else weights
    else:
        from netdsl.weights.trained import load_trained  # noqa: PLC0415 - only checkpoints need it

        trained, found = load_trained(weights, graph, key=key, training=training, **taking)
        yield trained, found
        if loaded is not None:
            loaded(found)
            return
        for warning in found.warnings:
            warn(render(warning), stacklevel=4)


def verify(spec: str | os.PathLike[str], **options: Any) -> Agreement:
    """Compare the backends on a net; `options` are those of `Network.verify`."""
    return load(spec).verify(**options)
