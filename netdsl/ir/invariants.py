"""The invariants of every graph, as a check; tests run it after elaboration and after every pass."""

from __future__ import annotations

import os
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError
from netdsl.ir.dim import symbols
from netdsl.ir.names import need_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.ir.graph import Graph, Node, Scope
    from netdsl.ir.params import Param


always = False
"""Whether `verified` checks every graph; tests set it."""


class GraphError(AssertionError):
    """A graph that breaks invariants through a bug in elaboration or a pass; the message lists what is wrong."""


def verify(graph: Graph) -> None:
    """Check the invariants of a graph.

    Raises:
        GraphError: some of them do not hold.
    """
    problems = list(chain.from_iterable(rule(graph) for rule in _RULES))
    if problems:
        raise GraphError("\n".join([f"graph {graph.name}:", *problems]))


def verified(graph: Graph) -> Graph:
    """Return the graph, checked against its invariants where NETDSL_DEBUG is set, and in all tests."""
    if always or os.environ.get("NETDSL_DEBUG"):
        verify(graph)
    return graph


def _names(graph: Graph) -> Iterator[str]:
    """All names follow the rules for names."""
    try:
        need_names(graph)
    except NetdslError as error:
        yield from (diagnostic.message for diagnostic in error.diagnostics)


def _order(graph: Graph) -> Iterator[str]:
    """Names are unique, and each node stands after its inputs."""
    for name, count in Counter(node.name for node in graph.nodes).items():
        if count > 1:
            yield f"{count} nodes are called {name}"
    seen: set[Node] = set()
    for node in graph.nodes:
        yield from (
            f"{node.name} reads {source.name} before it is there" for source in node.inputs if source not in seen
        )
        seen.add(node)


def _nodes(graph: Graph) -> Iterator[str]:
    """The type and parameters of a node are those that its layer infers from its inputs."""
    for node in graph.nodes:
        least, most = node.layer.arity
        if len(node.inputs) < least or (most is not None and len(node.inputs) > most):
            yield f"{node.name} reads {len(node.inputs)} values, and {node.layer.kind} takes {least} to {most}"
            continue
        inferred = node.layer.infer(*node.input_types)
        if inferred != node.type:
            yield f"{node.name} is said to be {node.type}, and its layer infers {inferred}"
        specs = node.layer.params(*node.input_types)
        if list(specs) != list(node.params):
            yield f"{node.name} has the parameters {list(node.params)}, not {list(specs)}"
            continue
        for role, spec in specs.items():
            given = node.params[role].spec
            if (given.shape, given.dtype, given.trainable) != (spec.shape, spec.dtype, spec.trainable):
                yield f"parameter {role} of {node.name} is {given}, not {spec}"


def _params(graph: Graph) -> Iterator[str]:
    """Parameters with the same name are the same object."""
    known: dict[str, Param] = {}
    for node in graph.nodes:
        for param in node.params.values():
            if known.setdefault(param.name, param) is not param:
                yield f"two parameters are called {param.name}, one of them in {node.name}"


def _paths(graph: Graph) -> Iterator[str]:
    """A path belongs to one layer and to one scope; a layer that is applied again is the same layer."""
    owners: dict[str, Node] = {}
    scopes: dict[str, Scope] = {}
    for node in graph.nodes:
        for role, param in node.params.items():
            owner = param.name.removesuffix(f".{role}") if role else param.name
            first = owners.setdefault(owner, node)
            if first.layer != node.layer:
                yield f"{first.name} and {node.name} are different layers, and both have the parameters of {owner}"
        for scope in node.scope.chain():
            if scopes.setdefault(scope.path, scope) is not scope:
                yield f"two scopes have the path {scope.path}"


def _ends(graph: Graph) -> Iterator[str]:
    """There are inputs and outputs; outputs are nodes, and no two tensors of the model have the same name."""
    if not graph.inputs:
        yield "there is no input"
    if not graph.outputs:
        yield "there is no output"
    yield from (f"{name} is an output and an aux output" for name in graph.outputs.keys() & graph.aux.keys())
    nodes, inputs = set(graph.nodes), {node.name: node for node in graph.inputs}
    for name, node in chain(graph.outputs.items(), graph.aux.items()):
        if node not in nodes:
            yield f"output {name} is {node.name}, which is not in the graph"
        if inputs.get(name, node) is not node:
            yield f"output {name} is called as an input"


def _scopes(graph: Graph) -> Iterator[str]:
    """All scopes have the same root, without a name, and a node's path begins with the path of its scope."""
    roots: set[Scope] = set()
    for node in graph.nodes:
        root, *rest = node.scope.chain()
        roots.add(root)
        if root.name or not all(scope.name for scope in rest):
            yield f"the scopes of {node.name} are called {[scope.name for scope in (root, *rest)]}"
        path, _, _ = node.name.rpartition(".")
        if path != node.scope.path:
            yield f"{node.name} stands in the scope {node.scope.path or 'of the net'}"
    if len(roots) > 1:
        yield f"there are {len(roots)} roots of scopes"


def _symbols(graph: Graph) -> Iterator[str]:
    """Every symbol is a size of an input, so that it is known at run time."""
    known = {name for node in graph.inputs for dim in node.type.shape for name in symbols(dim)}
    for node in graph.nodes:
        unknown = {name for dim in node.type.shape for name in symbols(dim)} - known
        if unknown:
            yield f"{node.name} has the sizes {sorted(unknown)}, which no input has"
    for constraint in graph.constraints:
        if constraint.size not in known:
            yield f"no input has the size in `{constraint.text}`"


_RULES = (_names, _order, _nodes, _params, _paths, _ends, _scopes, _symbols)
