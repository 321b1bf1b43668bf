"""The names that a model gave its tensors, without the parts that wrappers add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.weights.computed import stands_for

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from netdsl.weights.checkpoint import Checkpoint

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Buffers that are not weights: the step counters of PyTorch's batch norm and of its averaged models."""
INSIDE = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names that wrappers give the wrapped module at any depth: DataParallel, DDP, torch.compile, FSDP, checkpointing."""
BEFORE = ("module.", "_orig_mod.", "_forward_module.", "net.", "model.")
"""Prefixes of all names of a wrapped model; Lightning modules often use `net` or `model`."""


def plain_names(checkpoint: Checkpoint, params: Iterable[str]) -> dict[str, str]:
    """Return the names without the parts that wrappers add, each with the name in the file; counters are left out.

    A part in `INSIDE` is removed unless a parameter of the net has it too. A prefix in `BEFORE` is removed if all names
    begin with it and none of them is the name of a parameter.

    Raises:
        NetdslError: two tensors get the same name (E0912).
    """
    wanted = set(params)
    own = {part for name in wanted for part in name.split(".")}
    inside = {part for part in INSIDE if part not in own}
    plain_to_raw: dict[str, str] = {}
    for name in checkpoint.tensors:
        *parts, last = name.split(".")
        if last in COUNTERS:
            continue
        plain = ".".join([*(part for part in parts if part not in inside), last])
        if plain in plain_to_raw:
            raise fail(
                "E0912",
                f"two tensors of `{checkpoint.path}` are both `{plain}`: `{plain_to_raw[plain]}` and `{name}`",
                help="rename one of them by `--map OLD=NEW`, or save the weights of one model only",
            )
        plain_to_raw[plain] = name
    return _without_beginnings(plain_to_raw, wanted)


def _without_beginnings(names: dict[str, str], params: Container[str]) -> dict[str, str]:
    plain_to_raw = names
    while plain_to_raw and not any(name in params or stands_for(name)[0] in params for name in plain_to_raw):
        shared = next((prefix for prefix in BEFORE if all(name.startswith(prefix) for name in plain_to_raw)), None)
        if shared is None:
            return names
        plain_to_raw = {name.removeprefix(shared): raw for name, raw in plain_to_raw.items()}
    return plain_to_raw
