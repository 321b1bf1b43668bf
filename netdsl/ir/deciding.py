"""What the graph of a net tells of the meaning of its inputs and outputs, and what holds where it tells nothing."""

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
"""What images of so many channels are, unless something else is said."""


def decide(graph: Graph, loss: Any = None) -> Meaning:
    """What is known of a net's inputs and outputs from its layers, and from the loss that it is to be trained by.

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
    """What the first output and the auxiliary ones are when they are trained by a loss.

    Args:
        graph: the net.
        loss: the loss; `netdsl.elaborate.recipe.check_loss` holds that it fits the last layers.
        classes: whether the targets are numbers of classes.
    """
    ends = endings(graph)
    found = {}
    for name, node in (*list(graph.outputs.items())[:1], *graph.aux.items()):
        end = ends[node]
        gives: Gives = end if end is not None and end.normalized else loss.gives
        found[name] = Gives.SCORES if gives is Gives.VALUES and classes else gives
    return found


def endings(graph: Graph) -> dict[Node, Gives | None]:
    """What each output, and each auxiliary one, is by its last layer alone; None where that leaves it open.

    `dense` leaves it open, for one. Layers that only put elements elsewhere are passed over, and a mean of
    probabilities is one of probabilities.
    """
    ends = [*graph.outputs.values(), *graph.aux.values()]
    found: dict[Node, tuple[Gives, int] | None] = {}
    asked = [*ends]
    while asked:
        node = asked[-1]
        if due := [source for source in _telling(node) if source not in found]:
            asked += due
        else:
            found[asked.pop()] = _ending(node, found)
    return {node: end and (Gives.VALUES if _other_axis(end) else end[0]) for node in ends for end in (found[node],)}


def ending(graph: Graph, output: Node) -> Gives | None:
    """That of one of them."""
    return endings(graph)[output]


def _other_axis(end: tuple[Gives, int]) -> bool:
    """Whether the probabilities of classes are not along the first axis, so that they are those of nothing known."""
    gives, axis = end
    return axis != 0 and gives in (Gives.PROBABILITIES, Gives.LOG_PROBABILITIES)


def _telling(node: Node) -> tuple[Node, ...]:
    """Those before a node on which it depends what its result is."""
    layer = node.layer
    if layer.gives is not None or layer.activation:
        return ()
    return node.inputs if layer.averages or (layer.rearranges and len(node.inputs) == 1) else ()


def _ending(node: Node, found: dict[Node, tuple[Gives, int] | None]) -> tuple[Gives, int] | None:
    """What a result is, and along which axis the classes are."""
    layer = node.layer
    if layer.gives is not None:
        axis: int = layer.arguments().get("axis", 0)
        return layer.gives, axis % max(1, node.type.rank)
    if layer.activation:
        return Gives.VALUES, 0
    if not _telling(node):
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
    """What an input takes of which nothing else is said: images where it has the form of one, or else numbers.

    Args:
        shape: without the batch; sizes left open are no whole numbers.
        dtype: the element type by numpy's name.
    """
    if len(shape) == 3 and shape[0] in CHANNELS and ("float" in dtype or dtype == "uint8"):
        return Pixels(255 if dtype == "uint8" else 1, CHANNELS[shape[0]])  # type: ignore[arg-type] # they are its words
    return Numbers()


def takes_of(graph: Graph, given: Node) -> Takes:
    """What an input of a net takes."""
    return graph.meaning.inputs.get(given.name) or default_takes(given.type.shape, given.type.dtype.value)


def default_gives(shape: Sequence[Any]) -> Gives:
    """What an output is of which nothing else is said: logits where it has a number for each of several classes.

    Args:
        shape: without the batch; sizes left open are no whole numbers.
    """
    return Gives.LOGITS if len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 1 else Gives.VALUES


def described(graph: Graph) -> Meaning:
    """What is written of a graph into the files that are made of it: what is decided, and what its inputs take.

    Mean and deviation are those of the layer `normalize` that reads the one input alone, even where an optimization has
    put another layer into its place.
    """
    inputs = {node.name: takes_of(graph, node) for node in graph.inputs}
    known = (graph.meaning.mean, graph.meaning.std) if graph.meaning.mean else normalization(graph)
    mean, std = known or ((), ())
    return with_labels(replace(graph.meaning, inputs=inputs, mean=mean, std=std), graph.labels)


def normalization(graph: Graph) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of the layer `normalize` that alone reads a net's one input; None where there is none."""
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
