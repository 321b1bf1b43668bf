"""The learned tensors of shipped nets have the names, shapes and order of torchvision's checkpoints."""

import pytest
from zoo_reference import FIGURES, SAME_CLASS, TORCHVISION, VISION_TRANSFORMERS, checkpoint, vision_transformer

from netdsl.compiler import check

NAMES = sorted(path.stem for path in (FIGURES / "state_dicts").iterdir())
LAST = {"googlenet_aux": ("aux1", "aux2", "fc")}
"""Parts that torchvision's classes declare at the end, whatever their place in the graph."""


def test_every_net_of_torchvision_has_its_keys():
    assert sorted(TORCHVISION) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_order(name):
    ours = [(param.name, param.spec.shape) for param in check(name).graph.params.values()]
    last = LAST.get(name, ())
    ours.sort(key=lambda tensor: next((i for i, part in enumerate(last) if tensor[0].startswith(f"{part}.")), -1))
    assert ours == checkpoint(name)


@pytest.mark.parametrize("name", SAME_CLASS)
def test_keys_of_other_bottlenecks(name):
    assert list(check(name).graph.params) == [key for key, _ in checkpoint(SAME_CLASS[name])]


@pytest.mark.parametrize("name", VISION_TRANSFORMERS)
def test_keys_of_vision_transformers(name):
    assert [(param.name, param.spec.shape) for param in check(name).graph.params.values()] == vision_transformer(name)
