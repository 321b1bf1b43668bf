"""The choice of the dictionary in a file that holds the net's weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.base.diagnostics import NetdslError
    from netdsl.weights.checkpoint import Checkpoint

MAX_PLACES_SHOWN = 10
"""The number of places that an error lists."""
MAX_UNIONS = 100
"""The number of places with several dictionaries below that are tried."""
OUTERMOST = "."
"""The value of `--key` for the outermost dictionary."""


def only(whole: Checkpoint, key: str | None) -> Checkpoint:
    """Return the weights under a key, or the file's only weights.

    Raises:
        NetdslError: nothing is under the key, or there is no key and several places hold weights (E0918).
    """
    if key is not None:
        return _under(whole, key)
    if len(whole.sets) > 1:
        raise ambiguous(whole, whole.sets, f"`{whole.path}` holds weights in {len(whole.sets)} places")
    return whole.under(next(iter(whole.sets))) if whole.sets else whole


def candidates(whole: Checkpoint, key: str | None) -> dict[str, Checkpoint]:
    """Return the places that may hold the net's weights.

    Raises:
        NetdslError: nothing is under the key (E0918).
    """
    if key is not None:
        return {key: _under(whole, key)}
    return {key: whole.under(key) for key in whole.sets} if whole.sets else {"": whole}


def unions(whole: Checkpoint, key: str | None) -> dict[str, Checkpoint]:
    """Return the places with several dictionaries below, which may be parts of one net: `encoder`, `head`."""
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
    """Return E0918: several places may be meant."""
    listed = list(places)
    notes = [_described(whole, place) for place in listed[:MAX_PLACES_SHOWN]]
    if len(listed) > MAX_PLACES_SHOWN:
        notes.append(f"... and {len(listed) - MAX_PLACES_SHOWN} more")
    name = listed[0] or OUTERMOST
    remedy = f"`--key {name}` takes those under `{name}`" if listed[0] else "`--key .` takes those under no key"
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
