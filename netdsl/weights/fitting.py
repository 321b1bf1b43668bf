"""The weights in a file that are those of a net, wherever in it they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError
from netdsl.weights.choosing import ambiguous, candidates, unions
from netdsl.weights.comparison import compare
from netdsl.weights.opening import open_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from netdsl.ir.graph import Graph
    from netdsl.weights.checkpoint import Checkpoint
    from netdsl.weights.comparison import Fit


def fitted(
    path: str | os.PathLike[str],
    graph: Graph,
    *,
    key: str | None = None,
    rename: Mapping[str, str] | None = None,
    partial: bool = False,
    training: bool = False,
) -> Fit:
    """How the weights in a file fit a net: those of the place where they do, or else where most of them do.

    Args:
        path: what `open_checkpoint` reads.
        graph: the net.
        key: where in the file the weights are; None for any place.
        rename: names in the file to names in the net, as `Checkpoint.renamed` takes them.
        partial: whether it matters that several places fit in part.
        training: whether the training graph is to be filled.

    Raises:
        NetdslError: the file cannot be read (E0901, E0907) or is no checkpoint (E0911), a renaming is wrong (E0912), or
            several places fit, and there is no key, or nothing is under it (E0918).
    """
    whole = open_whole(path)

    def compared(places: Mapping[str, Checkpoint]) -> dict[str, Fit]:
        """How the places fit; those that cannot be compared are left out, unless there is no other."""
        fits: dict[str, Fit] = {}
        for place, checkpoint in places.items():
            try:
                fits[place] = compare(checkpoint.renamed(rename or {}), graph, training=training)
            except NetdslError:
                if len(places) == 1:
                    raise
        return fits

    found = compared(candidates(whole, key))
    right = [place for place, fit in found.items() if fit.whole]
    if not right and whole.sets:
        parts = compared(unions(whole, key))
        found |= {place: fit for place, fit in parts.items() if fit.whole}
        right = [place for place, fit in parts.items() if fit.whole][:1]
    if not right and partial:
        right = [place for place, fit in found.items() if fit.fitting]
    if len(right) > 1:
        raise ambiguous(whole, right, f"`{whole.path}` holds weights that fit `{graph.name}` in {len(right)} places")
    if right:
        return found[right[0]]
    if not found:
        message = f"`{whole.path}` holds weights in {len(whole.sets)} places, and in none can they be renamed so"
        raise ambiguous(whole, whole.sets, message)
    return max(found.values(), key=lambda fit: len(fit.fitting))
