"""The meaning of a net's inputs and outputs, derived from its graph, with defaults where the graph decides nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netdsl.ir.meaning import Gives, Meaning, Numbers, Pixels, Takes, with_labels
from netdsl.ir.tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netdsl.ir.graph import Graph, Node

CHANNELS = {1: "grey", 3: "rgb", 4: "rgba"}
"""The default order of an image's channels, by their number."""


def decide(graph: Graph, loss: Any = None) -> Meaning:
    """Derive the meaning of a net's inputs and outputs from its layers, and from the loss that trains it.

    Args:
        graph: the net.
        loss: one of `netdsl.recipe.WORDS["loss"]`; None where the net has no recipe.
    """
    tokens = {node.name: tokens_of(graph, node) for node in graph.inputs}
    inputs: dict[str, Takes] = {name: takes for name, takes in tokens.items() if takes is not None}
    ends = endings(graph)
    outputs = {name: gives for name, node in graph.outputs.items() if (gives := ends[node]) is not None}
    if loss is not None:
        outputs |= taught(graph, loss)
    return Meaning(inputs, outputs)


def taught(graph: Graph, loss: Any, *, classes: bool = False) -> dict[str, Gives]:
    """The meaning of the first output and of the auxiliary ones when a loss trains them.

    Args:
        graph: the net.
        loss: the loss; `netdsl.elaborate.recipe.check_loss` has checked that it fits the last layers.
        classes: whether the targets are class numbers.
    """
    ends = endings(graph)
    found = {}
    for name, node in (*list(graph.outputs.items())[:1], *graph.aux.items()):
        end = ends[node]
        gives: Gives = end if end is not None and end.normalized else loss.gives
        found[name] = Gives.SCORES if gives is Gives.VALUES and classes else gives
    return found


def endings(graph: Graph) -> dict[Node, Gives | None]:
    """The meaning of each output, auxiliary ones included, by its last layer alone; None where that decides nothing.

    `dense`, for one, decides nothing. Layers that only rearrange elements are skipped, and the mean of probabilities is
    again a probability.
    """
    ends = [*graph.outputs.values(), *graph.aux.values()]
    found: dict[Node, tuple[Gives, int] | None] = {}
    stack = [*ends]
    while stack:
        node = stack[-1]
        if missing := [source for source in _deciding_inputs(node) if source not in found]:
            stack += missing
        else:
            found[stack.pop()] = _ending(node, found)
    return {node: end and (Gives.VALUES if _other_axis(end) else end[0]) for node in ends for end in (found[node],)}


def ending(graph: Graph, output: Node) -> Gives | None:
    """The meaning of one output by its last layer alone."""
    return endings(graph)[output]


def _other_axis(end: tuple[Gives, int]) -> bool:
    """Whether the classes are not along the first axis, so that the probabilities are of an unknown kind."""
    gives, axis = end
    return axis != 0 and gives in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES)


def _deciding_inputs(node: Node) -> tuple[Node, ...]:
    """The inputs of a node that decide the meaning of its result."""
    layer = node.layer
    if layer.gives is not None or layer.activation:
        return ()
    return node.inputs if layer.averages or (layer.rearranges and len(node.inputs) == 1) else ()


def _ending(node: Node, found: dict[Node, tuple[Gives, int] | None]) -> tuple[Gives, int] | None:
    """The meaning of a node's result, and the axis of its classes."""
    layer = node.layer
    if layer.gives is not None:
        axis: int = layer.arguments().get("axis", 0)
        return layer.gives, axis % max(1, node.type.rank)
    if layer.activation:
        return Gives.VALUES, 0
    if not _deciding_inputs(node):
        return None
    if layer.averages:
        ends = {found[source] for source in node.inputs}
        return ends.pop() if len(ends) == 1 else None
    (source,) = node.inputs
    end = found[source]
    if end is None or end[0] not in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES):
        return end
    gives, axis = end
    place = layer.places(axis, *node.input_types)
    if isinstance(place, int) and Counter(node.type.shape) == Counter(source.type.shape):
        return gives, place
    kept = axis < node.type.rank and node.type.shape[: axis + 1] == source.type.shape[: axis + 1]
    return end if kept else (Gives.VALUES, 0)


def default_takes(shape: Sequence[Any], dtype: str) -> Takes:
    """The default meaning of an input: an image where its shape and dtype allow, else numbers.

    Args:
        shape: without the batch; a symbolic size is not an `int`.
        dtype: the element type, by its numpy name.
    """
    if len(shape) == 3 and shape[0] in CHANNELS and ("float" in dtype or dtype == "uint8"):
        return Pixels(255 if dtype == "uint8" else 1, CHANNELS[shape[0]])  # type: ignore[arg-type] # the words of `order`
    return Numbers()


def takes_of(graph: Graph, given: Node) -> Takes:
    """The meaning of an input of a net."""
    return graph.meaning.inputs.get(given.name) or default_takes(given.type.shape, given.type.dtype.value)


def default_gives(shape: Sequence[Any]) -> Gives:
    """The default meaning of an output: logits where it has one number for each of several classes, else values.

    Args:
        shape: without the batch; a symbolic size is not an `int`.
    """
    return Gives.LOGITS if len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 1 else Gives.VALUES


def described(graph: Graph) -> Meaning:
    """The meaning that is stored in files made from a graph: the outputs as decided, and the inputs.

    Mean and standard deviation are those of a `normalize` layer that alone reads the one input, even where an
    optimization has replaced it by another layer.
    """
    inputs = {node.name: takes_of(graph, node) for node in graph.inputs}
    known = (graph.meaning.mean, graph.meaning.std) if graph.meaning.mean else normalization(graph)
    mean, std = known or ((), ())
    return with_labels(replace(graph.meaning, inputs=inputs, mean=mean, std=std), graph.labels)


def normalization(graph: Graph) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and standard deviation of the `normalize` layer that alone reads the one input; None if there is none."""
    if len(graph.inputs) != 1:
        return None
    readers = [node for node in graph.nodes if graph.inputs[0] in node.inputs]
    layers = {node.layer for node in readers if node.layer.standardizes}
    if len(layers) != 1 or any(node.layer not in layers for node in readers):
        return None
    arguments = layers.pop().arguments()
    mean, std = arguments["mean"], arguments["std"]
    size = max(len(mean), len(std))
    return mean * (size // len(mean)), std * (size // len(std))
