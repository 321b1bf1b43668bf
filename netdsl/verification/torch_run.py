"""A net in PyTorch: its outputs and the results of all layers, in its own element types or in another one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx

from netdsl.backends.torch.lower import lower
from netdsl.base.diagnostics import fail
from netdsl.runtime.torch_device import torch_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.runtime import Device
    from netdsl.weights.initial import Array

    Visit = Callable[[str, Array], Array | None]
    """Called with a path and the values there; may return other values to continue with."""


BATCH_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


class TorchRun:
    """The module of a net in evaluation mode on a device.

    Args:
        graph: the net before optimization.
        weights: returns the array of a parameter.
        device: the device to run on, without TF32.
        dtype: the type of all floating-point numbers, by torch's name, including conversions within layers; None keeps
            the element types of the net.

    Raises:
        NetdslError: PyTorch cannot use the device (E0904), or a name in the net is taken (E0910).
    """

    def __init__(
        self, graph: Graph, weights: Callable[[Param], Array], device: Device, dtype: str | None = None
    ) -> None:
        self.folded: dict[str, str] = {}  # nothing is optimized here
        self.outputs = tuple(graph.outputs)
        self.device = torch_device(device)
        self.dtype: torch.dtype | None = getattr(torch, dtype) if dtype else None
        self.module = lower(graph, weights).eval()
        if self.dtype is not None:
            _retype(self.module, self.dtype)
        self.module.to(self.device)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name.

        Raises:
            NetdslError: PyTorch cannot run the net (E0915).
            MemoryError: the device has not enough memory.
        """
        return self._run(feeds, self.module)

    def visit(self, feeds: Mapping[str, Array], visit: Visit) -> None:
        """Call `visit(path, values)` for the inputs and the result of every layer, in order, without keeping them.

        If the call returns values, the run continues with them.
        """
        self._run(feeds, _Visitor(self.module, visit).run)

    def values(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs and the results of all layers by path."""
        values: dict[str, Array] = {}
        self.visit(feeds, values.__setitem__)
        return values

    def perturbed(self, feeds: Mapping[str, Array], unit: float) -> dict[str, Array]:
        """Return the outputs if every input and every layer's result is changed at random by up to `unit` of itself.

        This simulates rounding in any backend: a norm over two nearly equal values makes a small difference large.
        """
        random = np.random.default_rng(0)

        def perturb(_path: str, values: Array) -> Array | None:
            if not np.issubdtype(values.dtype, np.floating):
                return None
            perturbed: Array = values * (1 + random.uniform(-unit, unit, values.shape))
            return perturbed

        return self._run(feeds, _Visitor(self.module, perturb).run)

    def scale_statistics(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Scale the statistics of batch norms to those of their inputs.

        Otherwise, in a net that was not trained, the statistics let every residual branch add as much as there is
        already, values grow without bound, and a sigmoid saturates where rounding decides. The means of inputs are not
        subtracted: little would be left of some channels, and rounding errors would grow.

        Returns:
            The new means and variances, by parameter.
        """
        norms = {name: part for name, part in self.module.named_modules() if isinstance(part, BATCH_NORMS)}
        hooks = [part.register_forward_pre_hook(_StatisticsScaling()) for part in norms.values()]
        self.run(feeds)
        for hook in hooks:
            hook.remove()
        roles = ("running_mean", "running_var")
        return {f"{name}.{role}": _array(getattr(part, role)) for name, part in norms.items() for role in roles}

    def _run(self, feeds: Mapping[str, Array], call: Callable[..., Any]) -> dict[str, Array]:
        tensors = [self._tensor(array) for array in feeds.values()]
        try:
            with torch.no_grad(), _without_tf32():
                result = call(*tensors)
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"{self.device} has not enough memory for this batch") from error
        except (RuntimeError, ValueError) as error:
            kind = "" if self.dtype is None else f" in {str(self.dtype).removeprefix('torch.')}"
            raise fail("E0915", f"PyTorch cannot run the net{kind}: {str(error).splitlines()[0]}") from error
        results = result if isinstance(result, dict) else {self.outputs[0]: result}
        return {name: _array(results[name]) for name in self.outputs}

    def _tensor(self, array: Array) -> torch.Tensor:
        narrow = array.dtype.name == "bfloat16"  # torch does not convert this type from numpy
        tensor = torch.from_numpy(np.array(array, np.float32 if narrow else None))
        dtype = self.dtype if tensor.is_floating_point() else None
        return tensor.to(self.device, dtype or (torch.bfloat16 if narrow else tensor.dtype))


class _StatisticsScaling:
    """Multiplies a batch norm's statistics by those of its first input, channel by channel."""

    def __init__(self) -> None:
        self.done = False

    def __call__(self, norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if self.done:
            return
        squares = inputs[0].square().transpose(0, 1).flatten(1).mean(1)
        squares = squares.clamp(min=float(squares.mean()) / 10)  # some channels are almost always 0
        norm.running_var.mul_(squares)
        norm.running_mean.mul_(squares.sqrt())
        self.done = True


class _Visitor(fx.Interpreter):
    """Runs a module node by node and passes the results of layers to `visit`."""

    def __init__(self, module: fx.GraphModule, visit: Visit) -> None:
        super().__init__(module)
        self.visit = visit

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if path := n.meta.get("path"):
            other = self.visit(path, _array(result))
            return result if other is None else torch.tensor(other).to(result)
        return result


def _retype(module: fx.GraphModule, dtype: torch.dtype) -> None:
    """Convert parameters, buffers, and the element types in the graph to another floating-point type."""

    def other(argument: Any) -> Any:
        return dtype if isinstance(argument, torch.dtype) and argument.is_floating_point else argument

    for node in module.graph.nodes:
        node.args = fx.node.map_aggregate(node.args, other)
        node.kwargs = fx.node.map_aggregate(node.kwargs, other)
    for part in module.modules():
        if isinstance(part, torch.nn.RMSNorm) and part.eps is None:  # keep the eps of the original element type
            part.eps = torch.finfo(part.weight.dtype).eps
    module.recompile()
    module.to(dtype)


def _array(tensor: torch.Tensor) -> Array:
    wide = tensor.float() if tensor.dtype is torch.bfloat16 else tensor  # numpy has no bfloat16
    array: Array = wide.cpu().numpy()
    return array


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Keep CUDA from multiplying float32 with a mantissa of ten bits."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
