"""The meaning of the tensors that enter and leave a model.

Elaboration (`netdsl.ir.deciding`) and training decide it; it is stored as text in the metadata of ONNX models, weight
files and checkpoints.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEANING, LABELS, FOLDED = "netdsl.meaning", "netdsl.labels", "netdsl.folded"
"""The keys of the metadata."""
ORDERS = {"grey": 1, "rgb": 3, "bgr": 3, "rgba": 4}
"""The orders of channels, and the number of channels of each."""
REACHES = ("cover", "stretch")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


@dataclass(frozen=True)
class Pixels:
    """An input that takes images, channels x height x width.

    Attributes:
        most: the value of the brightest pixel; the darkest is 0.
        order: the order of the channels.
        reach: how an image is brought to the input's size: it is scaled to cover it and cropped to its centre, or it is
            stretched.
        interpolation: the interpolation method; antialiased, except for `nearest`.
    """

    most: Literal[1, 255] = 1
    order: Literal["grey", "rgb", "bgr", "rgba"] = "rgb"
    reach: Literal["cover", "stretch"] = "cover"
    interpolation: Literal["bilinear", "nearest", "bicubic"] = "bilinear"

    def __str__(self) -> str:
        return f"{self.order} pixels from 0 to {self.most}"


@dataclass(frozen=True)
class Numbers:
    """An input that takes numbers without a further meaning."""

    def __str__(self) -> str:
        return "numbers"


@dataclass(frozen=True)
class Tokens:
    """An input that takes tokens: whole numbers that index the net's embedding tables.

    Attributes:
        count: numbers from 0 to `count` - 1 are valid at all positions.
        axis: the axis, the batch not counted, along which positions have their own tables.
        counts: the count at each position along `axis`; empty where `count` holds for all.
    """

    count: int
    axis: int = 0
    counts: tuple[int, ...] = ()

    def __str__(self) -> str:
        most = max(self.counts, default=self.count) - 1
        return f"tokens from 0 to {self.count - 1}" + f", or to {most} at some positions" * bool(self.counts)

    def misfit(self, values: Any) -> str | None:
        """Describe what an array of tokens, N x any shape, should hold but does not; None if every token is valid."""
        parts = [(values.take(at, self.axis + 1), count, f" at position {at} of axis {self.axis}")
                 for at, count in enumerate(self.counts)] or [(values, self.count, "")]  # fmt: skip
        for part, count, where in parts:
            if part.size and not 0 <= part.min() <= part.max() < count:
                return f"tokens from 0 to {count - 1}{where}, and has {part.min() if part.min() < 0 else part.max()}"
        return None


Takes: TypeAlias = Pixels | Numbers | Tokens


class Gives(Enum):
    """The meaning of an output; its classes are along the first axis, positions along the others.

    The scores of a net trained on class numbers by `quadratic` are neither logits nor probabilities: the class with the
    largest score is the likeliest. For distances it is the class with the least.
    """

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    LOG_PROBABILITIES = "log-probabilities"
    YES_LOGITS = "yes-or-no logits"
    YES_PROBABILITIES = "yes-or-no probabilities"
    SCORES = "scores"
    DISTANCES = "distances"
    VALUES = "values"

    @property
    def yes_or_no(self) -> bool:
        """Whether each number answers its own yes-or-no question."""
        return self in (Gives.YES_LOGITS, Gives.YES_PROBABILITIES)

    @property
    def normalized(self) -> bool:
        """Whether a last layer has turned scores into probabilities."""
        return self in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES, Gives.YES_PROBABILITIES)


@dataclass(frozen=True)
class Meaning:
    """The meaning of a model's inputs and outputs, as far as it is decided.

    Attributes:
        inputs: the meaning of each input, by name.
        outputs: the meaning of each output, by name.
        mean: the number that the first layer subtracts from each channel of the one input, or from all channels; empty
            if it subtracts none.
        std: the number by which it divides them then.
        labels: the names of the classes of the first output.
        folded: the parameters in a file into which an optimization has folded other layers, so that they differ from
            those of the net as written.
    """

    inputs: Mapping[str, Takes] = field(default_factory=dict)
    outputs: Mapping[str, Gives] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()

    def as_metadata(self) -> dict[str, str]:
        """The meaning as texts, by the keys `MEANING`, `LABELS` and `FOLDED`; `from_metadata` reads them."""
        said = {
            "inputs": {name: {"kind": _KINDS[type(takes)]} | asdict(takes) for name, takes in self.inputs.items()},
            "outputs": {name: gives.value for name, gives in self.outputs.items()},
            "mean": list(self.mean),
            "std": list(self.std),
        }
        lists = {key: names for key, names in ((LABELS, self.labels), (FOLDED, self.folded)) if names}
        return {key: json.dumps(value, ensure_ascii=False) for key, value in (lists | {MEANING: said}).items()}


_KINDS: dict[type, str] = {Pixels: "pixels", Numbers: "numbers", Tokens: "tokens"}


def from_metadata(metadata: Mapping[str, str]) -> Meaning | None:
    """Read the meaning from metadata, which may hold other entries too; None where they hold no meaning.

    Raises:
        ValueError: an entry is not of the form that `Meaning.as_metadata` writes.
    """
    labels, folded = (_names(key, metadata) for key in (LABELS, FOLDED))
    if MEANING not in metadata:
        return Meaning(labels=labels, folded=folded) if labels or folded else None
    said = _json(MEANING, metadata[MEANING])
    _need(isinstance(said, dict) and said.keys() == {"inputs", "outputs", "mean", "std"}, MEANING, "four entries", said)
    inputs, outputs, mean, std = said["inputs"], said["outputs"], said["mean"], said["std"]
    _need(isinstance(inputs, dict), "inputs", "an object", inputs)
    _need(isinstance(outputs, dict), "outputs", "an object", outputs)
    for name, numbers in (("mean", mean), ("std", std)):
        _need(isinstance(numbers, list) and all(map(_is_number, numbers)), name, "a list of finite numbers", numbers)
    _need(len(mean) == len(std), "std", f"{len(mean)} numbers", std)
    _need(0 not in std, "std", "no 0", std)
    kinds = {gives.value: gives for gives in Gives}
    for name, gives in outputs.items():
        _need(isinstance(gives, str) and gives in kinds, name, f"one of {', '.join(kinds)}", gives)
    return Meaning(
        {name: _takes(name, entry) for name, entry in inputs.items()},
        {name: kinds[gives] for name, gives in outputs.items()},
        tuple(map(float, mean)),
        tuple(map(float, std)),
        labels,
        folded,
    )


def with_labels(meaning: Meaning, labels: Sequence[str]) -> Meaning:
    """The same meaning with other names of classes."""
    return replace(meaning, labels=tuple(labels))


# ------------------------------------------------------------------------------------------------ implementation


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"`{key}` has too many brackets") from None
    except ValueError as error:
        raise ValueError(f"`{key}` is no JSON: {error}") from None


def _names(key: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    names = _json(key, metadata.get(key, "[]"))
    _need(isinstance(names, list) and all(isinstance(name, str) for name in names), key, "a list of strings", names)
    return tuple(names)


def _takes(name: str, entry: Any) -> Takes:
    kinds = {kind: cls for cls, kind in _KINDS.items()}
    known = isinstance(entry, dict) and isinstance(entry.get("kind"), str) and entry["kind"] in kinds
    _need(known, name, f"an object whose `kind` is one of {', '.join(kinds)}", entry)
    cls = kinds[entry["kind"]]
    fields = {key: value for key, value in entry.items() if key != "kind"}
    if cls is Pixels:
        entries = {"most": (1, 255), "order": ORDERS, "reach": REACHES, "interpolation": INTERPOLATIONS}
        _need(fields.keys() == entries.keys(), name, f"the entries {', '.join(entries)}", sorted(fields))
        for key, choices in entries.items():
            value = fields[key]
            known = isinstance(value, int | str) and not isinstance(value, bool) and value in choices
            _need(known, f"{key}` of `{name}", f"one of {', '.join(map(str, choices))}", value)
        return Pixels(**fields)
    if cls is Numbers:
        _need(not fields, name, "no more than a `kind`", sorted(fields))
        return Numbers()
    _need("count" in fields and fields.keys() <= {"count", "axis", "counts"}, name, "a `count`", fields)
    axis, counts = fields.get("axis", 0), fields.get("counts", [])
    _need(isinstance(counts, list), name, "a list of `counts`", fields)
    _need(all(type(count) is int and count > 0 for count in (fields["count"], *counts)), name, "counts above 0", fields)
    _need(type(axis) is int and axis >= 0, name, "an `axis`", fields)
    return Tokens(fields["count"], axis, tuple(counts))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1000 and isfinite(value)


def _need(holds: bool, key: str, expected: str, got: Any) -> None:
    if not holds:
        shown = str(got)
        raise ValueError(f"`{key}`: expected {expected}, got {shown if len(shown) < 80 else f'{shown[:77]}...'}")
