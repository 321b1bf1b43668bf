"""The last checkpoint of a run, read with PyTorch alone: Lightning takes seconds to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from netdsl.base.diagnostics import fail
from netdsl.base.files import reading
from netdsl.base.outputs import replaceable
from netdsl.training.claim import LAST
from netdsl.training.history import COLUMNS
from netdsl.training.record import START_AGAIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from netdsl.base.diagnostics import NetdslError
    from netdsl.training.history import Row

PREFIX = "net."
"""The prefix of the net's parameters in a checkpoint."""


@dataclass(frozen=True)
class Last:
    """The state of a run after its latest complete epoch.

    Attributes:
        weights: the parameters and buffers of the net.
        history: the metrics of each epoch.
    """

    weights: Mapping[str, torch.Tensor]
    history: list[Row]


def read_last(folder: Path, net: nn.Module) -> Last:
    """Read the last checkpoint of a run.

    Args:
        folder: the run's folder.
        net: the module that the run trains.

    Raises:
        NetdslError: it cannot be read (E0901), is damaged or belongs to another net (E1102), or a weight is NaN or
            infinite (E1105).
    """
    path = folder / LAST
    with replaceable(), reading(path, "E1102", "a whole checkpoint", START_AGAIN):
        checkpoint = torch.load(path, weights_only=True, mmap=True)
        state, history, _ = checkpoint["state_dict"], list(checkpoint["history"]), checkpoint["optimizer_states"]
        _need_rows(history)
        name = not_finite(state)
    if name is not None:
        raise _no_start(f"`{path}`", name.removeprefix(PREFIX))
    return Last(_weights(path, state, net), history)


def read_weights(path: Path, net: nn.Module) -> Mapping[str, torch.Tensor]:
    """Read the weights in a checkpoint of a run.

    Raises:
        NetdslError: it cannot be read (E0901), is damaged or belongs to another net (E1102).
    """
    with replaceable(), reading(path, "E1102", "a whole checkpoint", START_AGAIN):
        state = torch.load(path, weights_only=True, mmap=True)["state_dict"]
    return _weights(path, state, net)


def need_finite(net: nn.Module) -> None:
    """Refuse initial weights that are NaN or infinite (E1105)."""
    name = not_finite(net.state_dict())
    if name is not None:
        raise _no_start("the initial weights", name)


def not_finite(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity."""
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    if not floats or bool(torch.stack([value.isfinite().all() for value in floats.values()]).all()):
        return None  # this waits for a device only once
    return next(name for name, value in floats.items() if not value.isfinite().all())


def _no_start(what: str, name: str) -> NetdslError:
    return fail("E1105", f"{what}: `{name}` is not finite, and every loss would be nan",
                            help="use weights from before the training diverged")  # fmt: skip


def _need_rows(history: list[Any]) -> None:
    """Check that the metrics are numbers, and that the epochs are counted from 1."""
    for epoch, row in enumerate(history, start=1):
        if not isinstance(row, dict) or row["epoch"] != epoch or not isinstance(row["val_loss"], float):
            raise ValueError(f"expected the metrics of epoch {epoch}")
        if row.keys() - COLUMNS or not all(isinstance(value, int | float) for value in row.values()):
            raise ValueError(f"the metrics of epoch {epoch} are not those of a run")


def _weights(path: Path, state: Mapping[str, torch.Tensor], net: nn.Module) -> Mapping[str, torch.Tensor]:
    """Return copies of the parameters and buffers in a checkpoint, by their names in the net, if they fit it.

    In the file, which is mapped into memory, two of them may share their values.
    """
    with replaceable(), reading(path, "E1102", "the checkpoint of this run", START_AGAIN):
        found = {name.removeprefix(PREFIX): value for name, value in state.items()}
        like = net.state_dict()
        for name in sorted(found.keys() ^ like.keys()):
            raise ValueError(f"it {'has' if name in found else 'lacks'} `{name}`")
        for name, value in found.items():  # a run in float64 has other floats than the net
            if value.shape != like[name].shape or value.is_floating_point() != like[name].is_floating_point():
                raise ValueError(f"`{name}` has another size or type")
        return {name: torch.empty_like(like[name], dtype=value.dtype).copy_(value) for name, value in found.items()}
