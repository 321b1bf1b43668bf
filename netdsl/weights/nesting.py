"""The tensors in nested dictionaries and lists, by the keys that lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DICTIONARY_DEPTH = 32
"""Dictionaries are followed so deep."""
MAX_WEIGHT_SETS = 1000
"""Of more dictionaries than these with tensors, each is no net's weights: they belong together."""
_CONTAINERS = (Mapping, list, tuple)
OPTIMIZER = "optim"
"""What stands in the keys under which training scripts keep the state of the optimizer."""


@dataclass
class Nested:
    """What was found.

    Attributes:
        values: all tensors, by the dotted keys that lead to each.
        places: the names of the tensors in each dictionary, by the dotted keys that lead to it.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def sets(self, weighty: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
        """The dictionaries that may hold a net's weights.

        Those of the optimizer do not, nor do those without a tensor that `weighty` says could be a weight. Tensors
        beside such dictionaries are figures of the training, unless they have names with dots, as a module's have.
        Where nothing is left by that, any dictionary with tensors will do.
        """
        likely = {
            place: names
            for place, names in self.places.items()
            if OPTIMIZER not in place.lower() and any(map(weighty, names))
        }
        found = {
            place: names
            for place, names in likely.items()
            if not any(other != place and _below(other, place) for other in likely)
            or any("." in name[len(place) + 1 if place else 0 :] for name in names)
        }
        found = found or self.places
        if len(found) > MAX_WEIGHT_SETS:
            return {"": tuple(self.values)}
        return {place: tuple(names) for place, names in found.items()}


def found_in(loaded: object, tensors: tuple[type, ...]) -> Nested:
    """Look for tensors, of these types, in what a file holds; each dictionary is looked into once.

    Raises:
        ValueError: two tensors have one name, or dictionaries are nested too deep.
    """
    found = Nested()
    seen: set[int] = set()
    waiting: list[tuple[str, int, Any]] = [("", 0, loaded)] if isinstance(loaded, _CONTAINERS) else []
    while waiting:
        place, depth, container = waiting.pop()
        if id(container) in seen:  # it is met again in itself, or elsewhere
            continue
        seen.add(id(container))
        if depth > MAX_DICTIONARY_DEPTH:
            raise ValueError(f"it holds dictionaries within dictionaries, more than {MAX_DICTIONARY_DEPTH} deep")
        inner = []
        for key, value in container.items() if isinstance(container, Mapping) else enumerate(container):
            name = f"{place}.{key}" if place else str(key)
            if isinstance(value, tensors):
                if name in found.values:
                    raise ValueError(f"two entries are called `{name}`")
                found.values[name] = value
                if isinstance(container, Mapping) and isinstance(key, str):
                    found.places.setdefault(place, []).append(name)
            elif isinstance(value, _CONTAINERS):
                inner.append((name, depth + 1, value))
        waiting += reversed(inner)
    return found


def _below(other: str, place: str) -> bool:
    return not place or other.startswith(f"{place}.")
