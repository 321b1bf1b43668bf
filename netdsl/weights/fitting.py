"""The search for a net's weights in a file, which may hold several sets of weights."""

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
    """Compare each set of weights in a file with a net; return the one that fits, or else the one that fits best.

    Args:
        path: what `open_checkpoint` reads.
        graph: the net.
        key: the key of the weights in the file, as in `open_checkpoint`; None takes the only place that fits.
        rename: names in the file to names in the net, as in `Checkpoint.renamed`.
        partial: accept a set that fits in part, if it is the only one.
        training: compare with the training graph.

    Raises:
        NetdslError: the file cannot be read (E0901, E0907) or is not a checkpoint (E0911), a renaming is wrong (E0912),
            nothing is under the key, or several places fit and there is no key (E0918).
    """
    whole = open_whole(path)

    def compared(places: Mapping[str, Checkpoint]) -> dict[str, Fit]:
        """Compare the places; leave out those whose renaming fails, unless there is only one."""
        fits: dict[str, Fit] = {}
        for place, checkpoint in places.items():
            try:
                fits[place] = compare(checkpoint.renamed(rename or {}), graph, training=training)
            except NetdslError:
                if len(places) == 1:
                    raise
        return fits

    fits_by_place = compared(candidates(whole, key))
    matching = [place for place, fit in fits_by_place.items() if fit.whole]
    if not matching and whole.sets:
        parts = compared(unions(whole, key))
        fits_by_place |= {place: fit for place, fit in parts.items() if fit.whole}
        matching = [place for place, fit in parts.items() if fit.whole][:1]
    if not matching and partial:
        matching = [place for place, fit in fits_by_place.items() if fit.fitting]
    if len(matching) > 1:
        raise ambiguous(
            whole, matching, f"`{whole.path}` holds weights that fit `{graph.name}` in {len(matching)} places"
        )
    if matching:
        return fits_by_place[matching[0]]
    if not fits_by_place:
        message = f"`{whole.path}` holds weights in {len(whole.sets)} places, and the renaming fails in each of them"
        raise ambiguous(whole, whole.sets, message)
    return max(fits_by_place.values(), key=lambda fit: len(fit.fitting))
