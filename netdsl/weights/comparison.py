"""The comparison of a checkpoint with a net: names, shapes and element types."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import Diagnostic
from netdsl.ir.graph import needed
from netdsl.ir.types import format_shape
from netdsl.weights.checkpoint import FLOATS
from netdsl.weights.computed import computed
from netdsl.weights.names import plain_names
from netdsl.weights.ties import places, twins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netdsl.base.source import Span
    from netdsl.ir.graph import Graph
    from netdsl.ir.params import Param
    from netdsl.weights.checkpoint import Checkpoint, Tensor

MAX_DIFFERENCES_SHOWN = 10
"""The number of names that an error lists for each kind of difference."""


@dataclass(frozen=True)
class Fit:
    """How a checkpoint fits a net.

    Attributes:
        checkpoint: the file.
        graph: the net.
        fitting: the tensors that fit, by the names of the net's parameters.
        missing: parameters that are not in the file.
        unexpected: names that are not in the net.
        wrong: parameters whose tensor has another shape, or an element type that cannot be converted.
        remarks: what was done to make the checkpoint fit, and what prevents it.
    """

    checkpoint: Checkpoint
    graph: Graph
    fitting: dict[str, Tensor]
    missing: tuple[Param, ...]
    unexpected: tuple[str, ...]
    wrong: tuple[tuple[Param, Tensor], ...]
    remarks: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.unexpected or self.wrong)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object with the names that differ, and the error that describes the difference."""
        return {
            "net": self.graph.name,
            "matched": len(self.fitting),
            "missing": [param.name for param in self.missing],
            "unexpected": list(self.unexpected),
            "wrong": [param.name for param, _ in self.wrong],
            "diagnostics": [] if self.whole else [self.as_error().as_json()],
        }

    def as_error(self) -> Diagnostic:
        """Return E0912, at the first layer of the net that gets no weights."""
        differences = [
            f"{count(len(items), noun)} {what}"
            for items, noun, what in (
                (self.missing, "parameter", "missing"),
                (self.unexpected, "tensor", "unexpected"),
                (self.wrong, "tensor", "of another shape or type"),
            )
            if items
        ]
        message = f"`{self.checkpoint.path}` does not fit `{self.graph.name}`: {', '.join(differences)}"
        first = next(iter((*(param for param, _ in self.wrong), *self.missing)), None)
        span, label = (None, "") if first is None else self._place(first)
        return Diagnostic("E0912", message, span, label, self.notes(), self._remedy())

    def as_warning(self) -> Diagnostic:
        """Return W0109: which parameters keep their initial values, and how many tensors were not read."""
        kept = len(self.missing) + len(self.wrong)
        effect, remedy = f"{count(len(self.unexpected), 'tensor')} not read", None
        if kept:
            effect = f"{kept} of {kept + len(self.fitting)} parameters keep initial values"
            remedy = "train these before the model is used"
        message = f"`{self.checkpoint.path}` fits `{self.graph.name}` in part: {effect}"
        return Diagnostic("W0109", message, notes=self.notes(), help=remedy)

    def notes(self) -> tuple[str, ...]:
        """Return the differences; each kind lists only its first names."""
        notes = [_different(param, tensor) for param, tensor in self.wrong[:MAX_DIFFERENCES_SHOWN]]
        if len(self.wrong) > MAX_DIFFERENCES_SHOWN:
            notes.append(f"... and {len(self.wrong) - MAX_DIFFERENCES_SHOWN} more of another shape or type")
        if self.missing:
            notes.append(listed("missing in the file", [param.name for param in self.missing]))
        if self.unexpected:
            notes.append(listed("not in the net", self.unexpected))
        return (*notes, *self.taken)

    @property
    def taken(self) -> tuple[str, ...]:
        """Return what a reader should know about the tensors that were taken from the file."""
        return (*self.checkpoint.notes, *self.remarks)

    def _place(self, param: Param) -> tuple[Span | None, str]:
        node = next(node for node in self.graph.nodes if param in node.params.values())
        return node.span, f"`{param.name}` is {_shape(param.spec.shape)} {param.spec.dtype.value} here"

    def _remedy(self) -> str:
        if not (self.missing or self.wrong):
            return "`--partial` leaves them unread"
        folded = self.unexpected and any(param.name.endswith(".running_var") for param in self.missing)
        if folded and self.checkpoint.kind == "ONNX":
            return "an optimized model has batch norm folded into other weights: write the model with `-O 0`"
        if guess := self._guess():
            return f"`--map '{guess}'` renames tensors whose names differ only at the beginning"
        if not self.missing and all(tensor.shape == param.spec.shape for param, tensor in self.wrong):
            return f"save it as dense tensors with elements of {', '.join(FLOATS)}"
        if not self.fitting:
            return "it is another net's, or its names differ: `netdsl weights` lists, `--map OLD=NEW` renames them"
        partial = "`--partial` takes what fits and leaves initial values in the rest"
        return f"`--map OLD=NEW` renames; {partial}" if self.missing and self.unexpected else partial

    def _guess(self) -> str | None:
        """Return a renaming of a prefix that would give most of the missing parameters a tensor."""
        absent, present = [param.name for param in self.missing[:50]], set(self.unexpected)
        votes: Counter[str] = Counter()
        for name in absent:
            votes.update(f"{other[: -len(name)]}*=*" for other in present if other.endswith(f".{name}"))
        for other in present:
            votes.update(f"*={name[: -len(other)]}*" for name in absent if name.endswith(f".{other}"))
        best, count = votes.most_common(1)[0] if votes else ("", 0)
        return best if 2 * count > len(absent) else None


def compare(checkpoint: Checkpoint, graph: Graph, *, training: bool = False) -> Fit:
    """Compare names, shapes and element types.

    Arrays are read only where they may be the same weight under two names.

    Raises:
        NetdslError: two tensors get the same name after the names that wrappers add are removed (E0912).
    """
    params = graph.params
    transposed = {param.name for node in graph.nodes if node.layer.weight_axis == 1 for param in node.params.values()}
    names = plain_names(checkpoint, params)
    tensors = {name: checkpoint.tensors[raw] for name, raw in names.items()}
    tensors, made = computed(tensors, params, transposed)
    again = places(graph)
    for place, name in again.items():
        if place in tensors and name not in tensors:
            tensors[name] = tensors.pop(place)
    wanted = {param.name: param for node in needed(graph, training=training) for param in node.params.values()}
    both = [(param, tensors[name]) for name, param in wanted.items() if name in tensors]
    wrong = tuple((param, tensor) for param, tensor in both if not _fits(param, tensor))
    fitting = {param.name: tensor for param, tensor in both if _fits(param, tensor)}
    missing = tuple(param for name, param in wanted.items() if name not in tensors)
    unexpected = [name for name in tensors if name not in params]
    same = {} if missing or wrong else twins(unexpected, tensors, fitting, again)
    different = [name for name in unexpected if name in again and again[name] in fitting and name not in same]
    remarks = []
    if made:
        remarks.append(f"{count(made, 'parameter')} computed from those of weight norm, spectral norm or pruning")
    if same:
        remarks.append(listed("equal to a parameter of the net under another name", same))
    remarks += [f"`{name}` differs from `{again[name]}`, which the net applies in its place"
                for name in different[:MAX_DIFFERENCES_SHOWN]]  # fmt: skip
    unexpected = [names[name] for name in unexpected if name not in same]
    return Fit(checkpoint, graph, fitting, missing, tuple(unexpected), wrong, tuple(remarks))


def _fits(param: Param, tensor: Tensor) -> bool:
    types = FLOATS if param.spec.dtype.is_float else (param.spec.dtype.value,)
    return tensor.shape == param.spec.shape and tensor.dtype in types


def _different(param: Param, tensor: Tensor) -> str:
    if tensor.shape == param.spec.shape:
        return f"`{param.name}` is {tensor.dtype} in the file and {param.spec.dtype.value} in the net"
    return f"`{param.name}` is {_shape(tensor.shape)} in the file and {_shape(param.spec.shape)} in the net"


def _shape(shape: tuple[int, ...]) -> str:
    return format_shape(shape) if shape else "a scalar"


def listed(what: str, names: Iterable[str]) -> str:
    """Return a heading and names, of which only the first are listed."""
    listed_names = list(names)
    more = f" and {len(listed_names) - MAX_DIFFERENCES_SHOWN} more" if len(listed_names) > MAX_DIFFERENCES_SHOWN else ""
    return f"{what}: {', '.join(f'`{name}`' for name in listed_names[:MAX_DIFFERENCES_SHOWN])}{more}"


def count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural where needed."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
