"""The description of a run in its folder; a run is resumed only with a description that agrees."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch

from netdsl.base.diagnostics import fail
from netdsl.base.files import reading
from netdsl.base.outputs import replaceable
from netdsl.base.version import __version__
from netdsl.ir.printer import print_graph
from netdsl.recipe import words as recipe
from netdsl.training.record import DESCRIPTION, FORMAT, START_AGAIN, read_description

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from netdsl.ir.graph import Graph
    from netdsl.recipe.settings import Settings
    from netdsl.training.samples.opening import Data

_NAMES = {
    "graph": "the net",
    "training": "the training data",
    "validation": "the validation data",
    "shape": "the size of the images",
    "frozen": "what is frozen",
    "precision": "the precision",
    "processes": "the number of processes",
    "weights": "the initial weights",
}
_SHOWN = ("precision", "processes")


def describe(
    graph: Graph, settings: Settings, data: Data, net: nn.Module, *, precision: str, processes: int, given: bool
) -> dict[str, Any]:
    """Return everything on which the weights at the end of a run depend, as JSON.

    Args:
        graph: the net.
        settings: the recipe.
        data: the data set, with its location and its split, so that both can be found again.
        net: the module before the first step, with frozen parameters marked.
        precision: the precision of computing.
        processes: the number of processes that share each step.
        given: whether the initial values were given, and not drawn by the recipe.
    """
    frozen = sorted(name for name, param in net.named_parameters() if not param.requires_grad)
    return {
        "format": FORMAT,
        "netdsl": __version__,
        "net": graph.name,
        "graph": sha256(print_graph(graph).encode()).hexdigest(),
        "recipe": {key: _entry(value) for key, value in vars(settings).items()},
        **data.origin,
        "shape": [*data.val.shape],
        "frozen": frozen,
        "precision": precision,
        "processes": processes,
        "weights": _hash(*net.state_dict().values()) if given else None,
    }


def need_same(folder: Path, description: Mapping[str, Any]) -> None:
    """Check that the run in a folder has the given description, and can continue.

    `early_stop` may change, and `epochs` unless the schedule depends on it. The initial weights need not be given
    again.

    Raises:
        NetdslError: something differs, or the description is damaged (E1102).
    """
    known = read_description(folder, "E1102", START_AGAIN)
    now: dict[str, Any] = json.loads(json.dumps(description))
    with replaceable(), reading(folder / DESCRIPTION, "E1102", "the description of a run", START_AGAIN):
        different = dict(_differences(known, now))
    if different:
        notes = [f"it was {was}, and is now {new}" for was, new in different.values() if was]
        raise fail("E1102", f"the run in `{folder}` differs in {', '.join(different)}", notes=tuple(notes),
                          help=f"resume it with the original settings, or {START_AGAIN}")  # fmt: skip


def _differences(known: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the name of each difference, with the old and the new value if they can be shown."""
    aimed = now["recipe"]["schedule"].keys() & {"linear", "cosine"}
    free = {"early_stop"} if aimed else {"early_stop", "epochs"}
    other_data = any(known.get(key) != now[key] for key in ("training", "validation"))
    for key, name in _NAMES.items():
        if known.get(key) == now[key] or (key == "weights" and now[key] is None):
            continue
        if key in ("graph", "shape") and other_data:  # the mean and deviation of the data are a part of the net
            continue
        yield name, (str(known.get(key)), str(now[key])) if key in _SHOWN else ("", "")
    for key, value in now["recipe"].items():
        if key not in free and known["recipe"].get(key) != value:
            yield key, (f"`{_text(key, known['recipe'].get(key))}`", f"`{_text(key, value)}`")


def _entry(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_entry(item) for item in value]
    return {recipe.WORD_OF[type(value)]: asdict(value)} if type(value) in recipe.WORD_OF else value


def _text(key: str, value: Any) -> str:
    """Return an entry as in a recipe, with all arguments."""
    items = value if isinstance(value, list) else [value]
    return f"{key} {', '.join(_item(item) for item in items)}" if items else f"no {key}"


def _item(value: Any) -> str:
    if not isinstance(value, dict):
        return "none" if value is None else str(value)
    return " ".join(" ".join([word, *(f"{k}={v}" for k, v in given.items())]) for word, given in value.items())


def _hash(*tensors: torch.Tensor) -> str:
    digest = sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
