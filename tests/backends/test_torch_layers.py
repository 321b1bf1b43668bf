"""Every layer as a PyTorch module: held to PyTorch at all, and usable in every way that PyTorch has."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO

import numpy as np
import pytest
import torch
from cases import cases
from graphs import one_layer
from trained import trained

from netdsl.backends.torch.lower import lower
from netdsl.ir.types import DType, TensorType
from netdsl.layers.base import LAYERS

KINDS = sorted(LAYERS.keys() - {"input"})
RECURRENT = {"gru", "lstm", "rnn"}


def test_every_layer_but_the_input_is_held_to_pytorch() -> None:
    """An input computes nothing."""
    assert LAYERS.keys() - {case.layer.kind for case in cases()} == {"input"}


def module_and_inputs(kind: str) -> tuple[torch.fx.GraphModule, list[torch.Tensor]]:
    """A layer at inference and a batch of 3 for it; of images, if it takes them."""
    found = [case for case in cases() if case.layer.kind == kind]
    case = max(found, key=lambda case: case.inputs[0].ndim == 4 and case.inputs[0].dtype == np.float32)
    types = [TensorType(array.shape[1:], DType(str(array.dtype))) for array in case.inputs]
    module = lower(one_layer(case.layer, *types), trained).eval()
    return module, [torch.tensor(np.resize(array, (3, *array.shape[1:]))) for array in case.inputs]


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_and_a_saved_module_are_the_same(kind: str) -> None:
    module, inputs = module_and_inputs(kind)
    file = BytesIO()
    torch.save(module, file)
    file.seek(0)
    for twin in (deepcopy(module), torch.load(file, weights_only=False)):
        torch.testing.assert_close(twin(*inputs), module(*inputs), rtol=0, atol=0, equal_nan=True)
        assert not {id(tensor) for tensor in twin.parameters()} & {id(tensor) for tensor in module.parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_in_memory_does_not_matter(kind: str) -> None:
    module, inputs = module_and_inputs(kind)
    want = module(*inputs)
    channels_last = [x.movedim(1, -1).contiguous().movedim(-1, 1) if x.ndim > 2 else x for x in inputs]
    torch.testing.assert_close(module(*channels_last), want, equal_nan=True)
    torch.testing.assert_close(module.to(memory_format=torch.channels_last)(*channels_last), want, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_in_another_element_type(kind: str, dtype: torch.dtype) -> None:
    module, inputs = module_and_inputs(kind)
    want = module(*inputs)
    if kind == "lrn" and dtype is not torch.float64:
        with pytest.raises(NotImplementedError, match="avg_pool3d"):  # PyTorch's own has no halves on a CPU
            torch.nn.LocalResponseNorm(3)(inputs[0].to(dtype))
        return
    tolerance = 1e-4 if dtype is torch.float64 else 0.1
    got = module.to(dtype)(*(x.to(dtype) if x.is_floating_point() else x for x in inputs))
    assert got.dtype == (dtype if want.is_floating_point() else want.dtype)
    torch.testing.assert_close(got.to(want.dtype), want, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_under_autocast(kind: str) -> None:
    module, inputs = module_and_inputs(kind)
    want = module(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        got = module(*inputs)
    torch.testing.assert_close(got.to(want.dtype), want, rtol=0.1, atol=0.1, equal_nan=True)


@pytest.mark.filterwarnings("ignore:The tensor attributes self.it._flat_weights")  # what recurrent layers do at a call
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exported_with_a_free_batch(kind: str) -> None:
    module, inputs = module_and_inputs(kind)
    program = torch.export.export(module, tuple(inputs), dynamic_shapes=[{0: torch.export.Dim("batch")}] * len(inputs))
    larger = [torch.cat([x, x]) for x in inputs]
    torch.testing.assert_close(program.module()(*larger), module(*larger), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_compiled_as_one_graph(kind: str) -> None:
    module, inputs = module_and_inputs(kind)
    whole = kind not in RECURRENT  # those PyTorch never compiles
    compiled = torch.compile(module, backend="aot_eager", fullgraph=whole, dynamic=True)
    torch.testing.assert_close(compiled(*inputs), module(*inputs), equal_nan=True)
    torch.compiler.reset()
