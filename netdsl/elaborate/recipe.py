"""Checks of `train` blocks against the vocabulary of `netdsl.recipe`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.elaborate.binding import match, require
from netdsl.elaborate.callee import Callee
from netdsl.ir import dim
from netdsl.ir.bounds import Need
from netdsl.ir.deciding import ending
from netdsl.ir.graph import needed
from netdsl.ir.meaning import Gives
from netdsl.layers.suggestions import listed, suggestion
from netdsl.recipe.words import NUMBERS, RATES, WORDS, BinaryCrossEntropy, CrossEntropy, NegativeLogLikelihood, Recipe
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.elaborate.expressions import Evaluator
    from netdsl.ir.graph import Graph, Node


def check_recipe(train: tree.Train, evaluator: Evaluator) -> Recipe:
    """Evaluate a `train` block to a recipe.

    Raises:
        NetdslError: it holds every entry or word that is unknown (E0801), and every argument that does not fit.
    """
    entries: dict[str, tuple[Any, ...]] = {}
    errors: list[Diagnostic] = []
    for entry in train.entries:
        try:
            if entry.key in entries:
                raise fail("E0304", f"`{entry.key}` is given twice", entry.key_span)
            entries[entry.key] = read_entry(entry, evaluator)
        except NetdslError as error:
            errors += error.diagnostics
    if errors:
        raise NetdslError(errors)
    return Recipe(entries, {entry.key: entry.span for entry in train.entries})


def loss_of(recipe: Recipe, graph: Graph) -> Any:
    """The loss that a recipe names, or else the default for the end of the net."""
    if "loss" in recipe.entries:
        return recipe.entries["loss"][0]
    match ending(graph, next(iter(graph.outputs.values()))):
        case Gives.YES_PROBABILITIES:
            return BinaryCrossEntropy()
        case Gives.LOG_PROBABILITIES:
            return NegativeLogLikelihood()
    return CrossEntropy()


def check_loss(recipe: Recipe, graph: Graph) -> None:
    """Refuse a loss that does not fit the first output or the auxiliary ones (E0803)."""
    losses = recipe.entries.get("loss", ())
    for loss, (name, output) in product(losses, [*list(graph.outputs.items())[:1], *graph.aux.items()]):
        problem = _misfit(loss, output, ending(graph, output))
        if problem is not None:
            word = next(word for word, cls in WORDS["loss"].items() if isinstance(loss, cls))
            message = f"`{word}` {problem[0]}, and `{name}` is {_described(output)}"
            raise fail("E0803", message, recipe.spans.get("loss"), help=problem[1])


def check_batch(recipe: Recipe, graph: Graph) -> None:
    """Refuse a batch of one if a layer computes a deviation over the batch, possibly of one value (E0416)."""
    if not any(batch.value == 1 for batch in recipe.entries.get("batch", ())):
        return
    for node in needed(graph, training=True):
        if node.layer.batch_statistics and not Need(dim.product(node.type.shape[1:]), 2, "").met:
            message = f"`{node.layer.kind}` computes the deviation of the batch, and `batch 1` leaves it one value"
            remedy = "use a larger `batch`, or a norm of each sample, such as `ln`"
            raise fail("E0416", message, node.span, help=remedy)


def _misfit(loss: Any, output: Node, end: Gives | None) -> tuple[str, str] | None:
    """What a loss expects that an output is not, and the remedy; None if it fits."""
    last = _last(output).layer.kind
    if not output.type.dtype.is_float:
        return "takes floating-point numbers", "let the net end in a layer that computes them, such as `dense`"
    match loss:
        case CrossEntropy() if end in (Gives.PROBABILITIES, Gives.YES_PROBABILITIES):
            return "takes scores and has a softmax of its own", f"leave out the `{last}`, which would be a second one"
        case NegativeLogLikelihood() if end is not Gives.LOG_PROBABILITIES:
            return "takes the logarithms of probabilities", "end the net in `log_softmax`, or use `loss cross_entropy`"
        case BinaryCrossEntropy() if end in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES):
            return "takes a score or a `sigmoid` for each label", f"leave out the `{last}`, or use `loss cross_entropy`"
        case CrossEntropy() | NegativeLogLikelihood() if output.type.shape[:1] in ((), (1,)):
            return "takes a score for each of several classes", "give each class an output, or use another loss"
    return None


def _last(output: Node) -> Node:
    """The node that computes an output's values, before any reshape."""
    while output.layer.keeps_order or output.layer.training_only:
        (output,) = output.inputs
    return output


def _described(output: Node) -> str:
    last = _last(output)
    return f"{output.type}, the result of a `{last.layer.kind}`"


def read_entry(entry: tree.TrainEntry, evaluator: Evaluator) -> tuple[Any, ...]:
    """Evaluate one entry: words with their arguments, or one number.

    Raises:
        NetdslError: the entry is unknown (E0801), or its content does not fit.
    """
    if entry.key in NUMBERS:
        if len(entry.items) != 1:
            raise fail("E0802", f"`{entry.key}` expected one number, got {len(entry.items)}", entry.span)
        if len(entry.items[0].arguments) > 1:
            raise fail("E0802", f"`{entry.key}` expected one number, got more", entry.span, help=_entries(entry))
        return (_make(entry.key, NUMBERS[entry.key], entry.items[0].arguments, entry.items[0], evaluator),)
    if entry.key not in WORDS:
        known = [*WORDS, *NUMBERS]
        if entry.key in RATES and len(entry.items) == 1:
            value = entry.items[0].span.text
            raise fail(
                "E0801",
                "the learning rate is an argument of the optimizer",
                entry.span,
                help=f"write `optimizer sgd lr={value}`",
            )
        raise fail(
            "E0801",
            f"a recipe has no entry `{entry.key}`",
            entry.key_span,
            help=suggestion(entry.key, known) or f"it has {listed(known)}",
        )
    if not entry.items:
        raise fail("E0802", f"`{entry.key}` is empty", entry.span, help=f"it takes {listed(WORDS[entry.key])}")
    if len(entry.items) > 1 and entry.key != "augment":
        raise fail("E0802", f"`{entry.key}` expected one choice, got {len(entry.items)}", entry.span)
    return tuple(_item(entry.key, item, evaluator) for item in entry.items)


def _entries(entry: tree.TrainEntry) -> str:
    """The remedy for entries in a line without `;`: `epochs 5 lr 0.01`."""
    texts = [argument.span.text for argument in entry.items[0].arguments]
    written = f"{entry.key} {texts[0]}"
    for word, value in zip(texts[1::2], texts[2::2], strict=False):
        written += f"; {'optimizer sgd lr=' if word in RATES else f'{word} '}{value}"
    return f"write `{written}`"


def _item(key: str, item: tree.TrainItem, evaluator: Evaluator) -> Any:
    known = WORDS[key]
    first = item.arguments[0] if item.arguments else None
    if first is None or first.key is not None or not isinstance(first.value, tree.Name):
        raise fail("E0802", f"`{key}` begins with a word", item.span, help=f"it is one of {listed(known)}")
    word = first.value.id
    if word not in known:
        raise fail(
            "E0801",
            f"`{word}` is no {key}",
            first.span,
            help=suggestion(word, known) or f"it is one of {listed(known)}",
        )
    return _make(word, known[word], item.arguments[1:], item, evaluator)


def _make(
    name: str, cls: type, arguments: tuple[tree.Argument, ...], item: tree.TrainItem, evaluator: Evaluator
) -> Any:
    callee = Callee.of_dataclass(name, cls)
    bound = match(callee, arguments, evaluator)
    require(callee, bound, item.span)
    return cls(**{key: argument.value for key, argument in bound.items()})
