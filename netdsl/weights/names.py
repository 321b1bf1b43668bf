"""The names that a model itself gave its tensors, without what other programs put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.weights.computed import stands_for

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from netdsl.weights.checkpoint import Checkpoint

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Buffers that nothing needs: the steps that PyTorch's batch norm, and its average of models, have counted."""
INSIDE = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What wrappers call the module in them, at any depth: DataParallel and DDP, torch.compile, FSDP, and checkpointing."""
BEFORE = ("module.", "_orig_mod.", "_forward_module.", "net.", "model.")
"""What stands before every name where a model is wrapped as a whole; Lightning modules call it `net` or `model`."""


def plain_names(checkpoint: Checkpoint, params: Iterable[str]) -> dict[str, str]:
    """The names that the net may know, each with the name in the file; without counters.

    A part of a name in `INSIDE` is left out unless the net has parts of that name itself; one of `BEFORE` where all
    names begin with it and none is the net's.

    Raises:
        NetdslError: two tensors get one name (E0912).
    """
    wanted = set(params)
    own = {part for name in wanted for part in name.split(".")}
    inside = {part for part in INSIDE if part not in own}
    found: dict[str, str] = {}
    for name in checkpoint.tensors:
        *parts, last = name.split(".")
        if last in COUNTERS:
            continue
        plain = ".".join([*(part for part in parts if part not in inside), last])
        if plain in found:
            raise fail(
                "E0912",
                f"two tensors of `{checkpoint.path}` are both `{plain}`: `{found[plain]}` and `{name}`",
                help="rename one of them by `--map OLD=NEW`, or save the weights of one model alone",
            )
        found[plain] = name
    return _without_beginnings(found, wanted)


def _without_beginnings(names: dict[str, str], params: Container[str]) -> dict[str, str]:
    found = names
    while found and not any(name in params or stands_for(name)[0] in params for name in found):
        shared = next((prefix for prefix in BEFORE if all(name.startswith(prefix) for name in found)), None)
        if shared is None:
            return names
        found = {name.removeprefix(shared): raw for name, raw in found.items()}
    return found
