"""Which of the dictionaries in a file holds the weights that are meant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.base.diagnostics import NetdslError
    from netdsl.weights.checkpoint import Checkpoint

MAX_PLACES_SHOWN = 10
"""So many places are shown."""
MAX_UNIONS = 100
"""So many places with others below them are tried."""
OUTERMOST = "."
"""What `--key` calls the place that needs no key."""


def only(whole: Checkpoint, key: str | None) -> Checkpoint:
    """The weights of a file under a key, or where there is but one place for them.

    Raises:
        NetdslError: nothing is under the key, or there are several places and no key (E0918).
    """
    if key is not None:
        return _under(whole, key)
    if len(whole.sets) > 1:
        raise ambiguous(whole, whole.sets, f"`{whole.path}` holds weights in {len(whole.sets)} places")
    return whole.under(next(iter(whole.sets))) if whole.sets else whole


def candidates(whole: Checkpoint, key: str | None) -> dict[str, Checkpoint]:
    """The places in which a net's weights may lie.

    Raises:
        NetdslError: nothing is under the key (E0918).
    """
    if key is not None:
        return {key: _under(whole, key)}
    return {key: whole.under(key) for key in whole.sets} if whole.sets else {"": whole}


def unions(whole: Checkpoint, key: str | None) -> dict[str, Checkpoint]:
    """The places with several dictionaries below, which may be parts of one net: `{"encoder": ..., "head": ...}`."""
    below: Counter[str] = Counter()
    for place in whole.sets:
        parts = place.split(".")
        below.update({".".join(parts[:end]) for end in range(len(parts) + 1)})
    if key is None:
        places = [place for place, count in below.most_common(MAX_UNIONS) if count > 1]
    else:
        places = [key.removeprefix(OUTERMOST)]
    return {place: whole.under(place, below=True) for place in places if below[place] > 1}


def ambiguous(whole: Checkpoint, places: Iterable[str], message: str) -> NetdslError:
    """E0918: several places, and which one is meant is not known."""
    found = list(places)
    notes = [_described(whole, place) for place in found[:MAX_PLACES_SHOWN]]
    if len(found) > MAX_PLACES_SHOWN:
        notes.append(f"... and {len(found) - MAX_PLACES_SHOWN} more")
    name = found[0] or OUTERMOST
    remedy = f"`--key {name}` takes those under `{name}`" if found[0] else "`--key .` takes those under no key"
    return fail("E0918", message, notes=tuple(notes), help=remedy)


def _under(whole: Checkpoint, key: str) -> Checkpoint:
    found = whole.under("" if key == OUTERMOST else key)
    if found.tensors:
        return found
    if len(whole.sets) > 1 or (whole.sets and "" not in whole.sets):
        raise ambiguous(whole, whole.sets, f"`{whole.path}` holds no weights under `{key}`")
    raise fail(
        "E0918",
        f"`{whole.path}` holds no weights under `{key}`",
        help=f"its weights lie under no key; `netdsl weights {whole.path}` lists them",
    )


def _described(whole: Checkpoint, place: str) -> str:
    tensors = whole.under(place).tensors.values()
    count, values = len(tensors), sum(tensor.elements for tensor in tensors)
    where = f"`{place}`" if place else "under no key (`.`)"
    return f"{where}: {count:,} tensor{'' if count == 1 else 's'}, {values:,} values"
