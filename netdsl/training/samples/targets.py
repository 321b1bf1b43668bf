"""Converting targets to what the net's output and the loss take."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from netdsl.base.diagnostics import fail
from netdsl.ir.deciding import taught
from netdsl.recipe import words as recipe

if TYPE_CHECKING:
    from netdsl.base.diagnostics import NetdslError
    from netdsl.data.parts import Array, Found
    from netdsl.ir.dim import Dim
    from netdsl.ir.graph import Graph
    from netdsl.ir.types import TensorType


def fit_targets(found: Found, graph: Graph, loss: Any) -> dict[str, torch.Tensor]:
    """Return the targets of each split: class numbers (int64), or values (float32) of the shape of the first output.

    Class numbers are N, or N x positions if the output is classes x positions. Values of the shape of the output are
    labels from 0 to 1, or any numbers if the loss is `quadratic`; if they are one-hot and the outputs are not
    yes-or-no answers, they are converted to class numbers. For a single yes-or-no output the class numbers 0 and 1 are
    labels.

    Raises:
        NetdslError: a target is out of range (E1004), or the net has other classes (E1007).
    """
    name, node = next(iter(graph.outputs.items()))
    output, gives = node.type, taught(graph, loss)[name]
    if not output.rank:
        raise fail("E1007", "expected an output of at least one class, got one number without a shape",
                   help="end it with `dense classes`")  # fmt: skip
    single = gives.yes_or_no and output.shape[0] == 1
    hot = not gives.yes_or_no and output.shape[0] != 1 and all(
        part.targets.ndim > 1 and matches(part.targets.shape[1:], output.shape) and one_hot(part.targets)
        for part in found.parts.values()
    )  # fmt: skip
    fitted = {}
    for split, part in found.parts.items():
        where = f"the {split} data of `{found.name}`"
        targets = part.targets
        if targets.ndim > 1 and matches(targets.shape[1:], output.shape) and not hot:
            fitted[split] = _values(targets, where, loss)
            continue
        numbers = targets[:, 0] if targets.shape[1:] == (1,) else targets  # Keras's layout
        numbers = numbers.argmax(1) if hot else numbers
        if not matches(numbers.shape[1:], output.shape[1:]):
            shown = "x".join(map(str, targets.shape[1:])) or "one number"
            raise fail(
                "E1007",
                f"the net gives {output} for each sample, and a target of {where} is {shown}",
                help="targets are class numbers, one for each position of the output, or values of the output's shape",
            )
        if single and not np.isin(numbers, (0, 1)).all():
            raise _out_of_range(f"expected 0 or 1 for a net that answers no or yes, got other targets in {where}")
        if isinstance(loss, recipe.Quadratic) and output.shape[0] == 1 and not single:
            fitted[split] = _values(numbers[:, None], where, loss)
            continue
        fitted[split] = _values(numbers[:, None], where, loss) if single else _numbers(numbers, where)
    whole = [values for values in fitted.values() if not values.is_floating_point()]
    classes = len(found.labels) or max((int(values.max()) + 1 for values in whole), default=output.shape[0])
    least = min((int(values.min()) for values in whole), default=0)
    if not found.labels and least and classes - least == output.shape[0]:
        raise _out_of_range(f"expected classes numbered from 0, got {least} to {classes - 1} in `{found.name}`")
    _need_classes(found, graph, classes, 2 if single and len(found.labels) == 2 else output.shape[0])
    if found.labels and whole and (most := max(int(values.max()) for values in whole)) >= len(found.labels):
        raise _out_of_range(f"expected classes from 0 to {len(found.labels) - 1}, got {most} in `{found.name}`")
    return fitted


def are_classes(targets: Array, output: TensorType) -> bool:
    """Whether targets are class numbers and not values of the output's shape; yes and no are two classes."""
    if output.shape == (1,) or (targets.ndim > 1 and matches(targets.shape[1:], output.shape)):
        return bool(np.isin(targets, (0, 1)).all())
    return bool((np.isfinite(targets) & (targets == np.floor(targets))).all())


def belong_to_positions(targets: torch.Tensor) -> bool:
    """Whether the targets from `fit_targets` belong to positions of the sample, and would have to move with it."""
    return targets.ndim > (2 if targets.is_floating_point() else 1)


def need_one_class(targets: torch.Tensor, loss: Any) -> None:
    """Refuse several labels at once for a loss that takes one class, or its probabilities (E1004)."""
    if not targets.is_floating_point() or not isinstance(loss, recipe.CrossEntropy | recipe.NegativeLogLikelihood):
        return
    soft = isinstance(loss, recipe.CrossEntropy)
    if not soft or (targets.sum(1) - 1).abs().max() > 1e-3:
        takes = "one class, or probabilities that sum to 1," if soft else "one class"
        raise fail("E1004", f"the loss takes {takes} for each sample, but the data have other targets",
                    help="several labels at once are learned by `loss binary_cross_entropy`")  # fmt: skip


def one_hot(targets: Array) -> bool:
    """Whether targets are one-hot along axis 1."""
    return bool(np.isin(targets, (0, 1)).all() and (targets.sum(1) == 1).all())


def _need_classes(found: Found, graph: Graph, classes: Dim, outputs: Dim) -> None:
    if classes != outputs:
        raise fail(
            "E1007",
            f"the net has {outputs} outputs, and `{found.name}` has {classes} classes",
            help=f"give the net that many: `--set classes={classes}`, where it has such a parameter",
        )
    if found.labels and graph.labels and found.labels != graph.labels:
        pairs = zip_longest(found.labels, graph.labels, fillvalue="")
        number, (ours, theirs) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
        raise fail(
            "E1007",
            f"class {number} is called `{ours}` in the data and `{theirs}` in the net",
            help="give the net the `labels` of the data, in their order, or none",
        )


def matches(shape: tuple[int, ...], dims: tuple[Dim, ...]) -> bool:
    """Whether sizes agree with those of a type; a symbolic size matches any, but the same one everywhere."""
    bound: dict[Dim, int] = {}
    return len(shape) == len(dims) and all(
        size == dim if isinstance(dim, int) else bound.setdefault(dim, size) == size
        for size, dim in zip(shape, dims, strict=True)
    )


def _values(targets: Array, where: str, loss: Any) -> torch.Tensor:
    values = targets.astype(np.float32)
    inside = np.isfinite(values) if isinstance(loss, recipe.Quadratic) else (values >= 0) & (values <= 1)
    if not inside.all():
        sample = int(np.argwhere(~inside)[0][0])
        expected = "finite values" if isinstance(loss, recipe.Quadratic) else "values from 0 to 1"
        raise _out_of_range(f"expected {expected}, got another in sample {sample} of {where}")
    return torch.from_numpy(values)


def _numbers(targets: Array, where: str) -> torch.Tensor:
    whole = np.isfinite(targets) & (targets >= 0) & (targets == np.floor(targets)) & (targets < 2**31)
    if not whole.all():
        place = tuple(np.argwhere(~whole)[0])
        raise _out_of_range(f"expected a class as a whole number from 0, got {targets[place]} in sample {place[0]} "
                            f"of {where}")  # fmt: skip
    return torch.from_numpy(targets.astype(np.int64))


def _out_of_range(problem: str) -> NetdslError:
    return fail("E1004", problem, help="number the classes from 0: `numpy.unique(y, return_inverse=True)[1]`")
