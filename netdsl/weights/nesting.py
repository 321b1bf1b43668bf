"""The tensors in nested dictionaries and lists, by the keys that lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DICTIONARY_DEPTH = 32
"""The depth to which dictionaries are searched."""
MAX_WEIGHT_SETS = 1000
"""If more dictionaries than this hold tensors, they are taken as one set: each alone is too small to be a net."""
_CONTAINERS = (Mapping, list, tuple)
OPTIMIZER = "optim"
"""A text in the keys under which training scripts save the state of the optimizer."""


@dataclass
class Nested:
    """The tensors in a file.

    Attributes:
        values: all tensors, by the dotted keys that lead to each.
        places: the names of the tensors in each dictionary, by the dotted keys that lead to it.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def sets(self, weighty: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
        """The dictionaries that may hold a net's weights.

        Dictionaries of the optimizer are excluded, and those without a tensor for which `weighty` returns True. Tensors
        beside such dictionaries are taken as statistics of the training, unless their names have dots, as those of a
        module have. If this excludes everything, all dictionaries with tensors are returned.
        """
        likely = {
            place: names
            for place, names in self.places.items()
            if OPTIMIZER not in place.lower() and any(map(weighty, names))
        }
        likely_sets = {
            place: names
            for place, names in likely.items()
            if not any(other != place and _below(other, place) for other in likely)
            or any("." in name[len(place) + 1 if place else 0 :] for name in names)
        }
        likely_sets = likely_sets or self.places
        if len(likely_sets) > MAX_WEIGHT_SETS:
            return {"": tuple(self.values)}
        return {place: tuple(names) for place, names in likely_sets.items()}


def found_in(loaded: object, tensors: tuple[type, ...]) -> Nested:
    """Search what a file holds for tensors of the given types; each dictionary is visited once.

    Raises:
        ValueError: two tensors have the same name, or dictionaries are nested too deep.
    """
    result = Nested()
    seen: set[int] = set()
    waiting: list[tuple[str, int, Any]] = [("", 0, loaded)] if isinstance(loaded, _CONTAINERS) else []
    while waiting:
        place, depth, container = waiting.pop()
        if id(container) in seen:  # it contains itself, or is in several places
            continue
        seen.add(id(container))
        if depth > MAX_DICTIONARY_DEPTH:
            raise ValueError(f"it holds dictionaries within dictionaries, more than {MAX_DICTIONARY_DEPTH} deep")
        inner = []
        for key, value in container.items() if isinstance(container, Mapping) else enumerate(container):
            name = f"{place}.{key}" if place else str(key)
            if isinstance(value, tensors):
                if name in result.values:
                    raise ValueError(f"two entries are called `{name}`")
                result.values[name] = value
                if isinstance(container, Mapping) and isinstance(key, str):
                    result.places.setdefault(place, []).append(name)
            elif isinstance(value, _CONTAINERS):
                inner.append((name, depth + 1, value))
        waiting += reversed(inner)
    return result


def _below(other: str, place: str) -> bool:
    return not place or other.startswith(f"{place}.")
