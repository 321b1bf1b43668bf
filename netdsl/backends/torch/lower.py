"""Lowering a graph to a torch.fx.GraphModule, directly: one pass over the nodes, no tracing and no interpreter.

Submodules have the paths of the `.net` file, so that the keys of `state_dict` are the names of the parameters.
A net with one output returns a tensor, one with several a dictionary by output name. If there are auxiliary outputs,
the module returns them in training mode: it holds two graphs over the same submodules.
"""

from __future__ import annotations

import operator
from copy import deepcopy
from keyword import kwlist
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.nn import functional

from netdsl.backends.torch import modules as torch_modules
from netdsl.base.diagnostics import fail
from netdsl.base.naming import is_step
from netdsl.ir.dim import Symbolic, compute
from netdsl.ir.graph import needed
from netdsl.ir.names import need_names
from netdsl.ir.types import DType
from netdsl.weights.initial import Initializer, materialize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netdsl.ir.dim import Dim, Symbol
    from netdsl.ir.graph import Graph, Node
    from netdsl.ir.params import Param
    from netdsl.weights.initial import Array

    Weights = Callable[[Param], Array]

LIBRARIES = {"nn": nn, "torch": torch, "F": functional, "operator": operator}
"""The libraries by the first part of a name that a layer passes to `TorchLowering`."""


def lower(graph: Graph, weights: Weights) -> fx.GraphModule:
    """Lower all nodes that the outputs and the aux outputs of a graph depend on to a module in training mode.

    Each node of the fx graph that is the result of a layer has the layer's path in its `meta["path"]`.

    Args:
        graph: a graph before optimization; passes are for inference.
        weights: returns the array of a parameter.

    Raises:
        NetdslError: a name in the net is a Python keyword, or an attribute of every torch.nn.Module (E0910); a graph
            built in Python has an invalid name (E0112).
    """
    need_names(graph)
    store = _Store(graph, weights)
    training = _fx_graph(graph, store, training=True)
    if not graph.aux:
        return fx.GraphModule(store.root, training, graph.name)
    return AuxGraphModule(store.root, training, _fx_graph(graph, store, training=False), graph.name)


class AuxGraphModule(fx.GraphModule):
    """A GraphModule with one graph for training and one for inference; `train` and `eval` switch between them."""

    def __init__(self, root: nn.Module, training: fx.Graph, inference: fx.Graph, class_name: str) -> None:
        super().__init__(root, training, class_name)
        self.train_graph, self.eval_graph = training, inference

    def train(self, mode: bool = True) -> AuxGraphModule:
        """Set the mode as torch.nn.Module does, and select the graph for it."""
        super().train(mode)
        graph = self.train_graph if mode else self.eval_graph
        if self.graph is not graph:
            self.graph = graph
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> AuxGraphModule:
        graphs = deepcopy(self.train_graph), deepcopy(self.eval_graph)
        return AuxGraphModule(deepcopy(_tree(self), memo), *graphs, type(self).__name__).train(self.training)

    def __reduce__(self) -> tuple[Any, ...]:
        graphs = self.train_graph, self.eval_graph
        return _joined, (*(fx.GraphModule(self, graph) for graph in graphs), type(self).__name__, self.training)


WORDS = {
    **dict.fromkeys(kwlist, "a Python keyword"),
    "self": "the name of the module itself",
    "torch": "the name of PyTorch in a module's code",
}
"""Names that a value in the code of a module cannot have, with the reasons."""
ATTRIBUTES = WORDS | dict.fromkeys(
    {*dir(nn.Module()), *dir(AuxGraphModule(nn.Module(), fx.Graph(), fx.Graph(), ""))},
    "an attribute that every module has",
)
"""Names that a submodule cannot have, with the reasons: it would hide another attribute, or be hidden by it."""


def _joined(training: fx.GraphModule, inference: fx.GraphModule, class_name: str, mode: bool) -> AuxGraphModule:
    """Restore a pickled module from two modules over the same submodules."""
    return AuxGraphModule(training, training.graph, inference.graph, class_name).train(mode)


def _tree(module: nn.Module) -> nn.Module:
    """Return a plain module with the submodules and parameters of another."""
    root = nn.Module()
    for name, child in module.named_children():
        root.add_module(name, child)
    for name, param in module.named_parameters(recurse=False):
        root.register_parameter(name, param)
    return root


class _Store:
    """Submodules and learned tensors by path, each created on first use, in a tree of containers."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.root = nn.Module()
        self.weights = weights
        given = (param for param in graph.params.values() if param.derived is None)
        self._drawn = weights.draw(given) if isinstance(weights, Initializer) else {}
        self._made: set[str] = set()

    def module(self, node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the path of a node's module; layers that share weights share it."""
        path = next((param.name.removesuffix(f".{role}") for role, param in node.params.items()), node.name)
        if path not in self._made:
            library, _, attribute = name.rpartition(".")
            if library:
                with torch.device("meta"):  # the values that modules draw themselves are not needed
                    module = getattr(LIBRARIES[library], attribute)(*args, **kwargs)
            else:
                module = getattr(torch_modules, attribute)(*args, **kwargs)
            self._fill(module, node)
            self._place(path, module, node)
        return path

    def param(self, node: Node, role: str) -> str:
        """Return the path of a learned tensor without a module."""
        param = node.params[role]
        owner = param.name.removesuffix(f".{role}")  # a module that has the tensor may exist already
        if self._made.isdisjoint((param.name, owner)):
            self._place(param.name, nn.Parameter(self._tensor(param), requires_grad=param.spec.trainable), node)
        return param.name

    def _place(self, path: str, value: nn.Module | nn.Parameter, node: Node) -> None:
        *containers, last = path.split(".")
        place = self.root
        for step in containers:
            if not hasattr(place, step):
                place.add_module(step, nn.Module())
            need_free(step, node, ATTRIBUTES)
            place = getattr(place, step)
        need_free(last, node, ATTRIBUTES)
        setattr(place, last, value)
        self._made.add(path)

    def _fill(self, module: nn.Module, node: Node) -> None:
        """Set a module's parameters and buffers; PyTorch's own counter of batches starts at 0."""
        roles = dict(node.params)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name in roles:
                value = self._tensor(roles.pop(name))
                owner, _, attribute = name.rpartition(".")
                owner_module = module.get_submodule(owner)
                if isinstance(tensor, nn.Parameter):
                    setattr(owner_module, attribute, nn.Parameter(value))  # recurrent modules register this
                else:
                    owner_module.register_buffer(attribute, value)
            elif name == "num_batches_tracked":
                module.register_buffer(name, torch.tensor(0, dtype=torch.long))
            elif tensor.is_meta:
                raise ValueError(f"`{node.layer.kind}` has no parameter `{name}`, which {type(module).__name__} has")
        if roles:
            raise ValueError(f"{type(module).__name__} has no {', '.join(roles)}, which `{node.layer.kind}` has")

    def _tensor(self, param: Param) -> torch.Tensor:
        if param.name in self._drawn:
            tensor = torch.from_numpy(self._drawn[param.name])
        else:
            tensor = torch.tensor(materialize(param, self.weights))  # a copy: the array may be read-only or in use
        return tensor.to(torch.bfloat16) if param.spec.dtype is DType.BFLOAT16 else tensor


def need_free(name: str, node: Node, taken: Mapping[str, str]) -> None:
    """Refuse a name that is in `taken`, with its reason, or that Python would mangle within a class."""
    reason = "reserved by Python, as it begins with `__`" if name.startswith("__") else taken.get(name)
    if reason is not None:
        raise fail(
            "E0910",
            f"`{node.name}` cannot be in a PyTorch module: `{name}` is {reason}",
            node.span,
            help=f"give `{name}` another name, such as `{name.strip('_') or 'x'}_`",
        )


def _fx_graph(graph: Graph, store: _Store, *, training: bool) -> fx.Graph:
    """Return the fx graph of one mode."""
    result = fx.Graph()
    values: dict[Node, fx.Node] = {}
    for node in graph.inputs:
        need_free(node.name, node, WORDS)
        values[node] = placeholder = result.placeholder(node.name)
        placeholder.target = placeholder.name  # fx renames inputs whose names it uses itself, such as `inf`
    for node in needed(graph, training=training):
        if node not in values:
            lowering = _NodeLowering(result, node, values, store)
            values[node] = node.layer.to_torch(lowering, *(values[i] for i in node.inputs))
        values[node].meta.setdefault("path", node.name)
    outputs = {**graph.outputs, **(graph.aux if training else {})}
    if len(outputs) == 1:
        result.output(*(values[node] for node in outputs.values()))
    else:
        result.output({name: values[node] for name, node in outputs.items()})
    _need_plain(result)
    return result


def _need_plain(graph: fx.Graph) -> None:
    """Check that everything that fx writes into Python code unchanged is a valid name."""
    for node in graph.nodes:
        texts = [node.name, *node.kwargs]
        if isinstance(node.target, str):
            texts += node.target.split(".")
        if not all(map(is_step, texts)):
            raise ValueError(f"fx would write {texts} into Python")


class _NodeLowering:
    """`netdsl.layers.base.TorchLowering` for one node; its values are nodes of the fx graph."""

    def __init__(self, graph: fx.Graph, node: Node, values: dict[Node, fx.Node], store: _Store) -> None:
        self.graph, self.node, self.values, self.store = graph, node, values, store
        self.inputs, self.output = node.input_types, node.type

    def module(self, name: str, *args: Any, **kwargs: Any) -> Callable[..., fx.Node]:
        path = self.store.module(self.node, name, args, kwargs)
        return lambda *inputs: self.graph.call_module(path, inputs)

    def call(self, function: str, *args: Any, **kwargs: Any) -> fx.Node:
        library, _, attribute = function.partition(".")
        return self.graph.call_function(getattr(LIBRARIES[library], attribute), args, kwargs)

    def method(self, value: Any, name: str, *args: Any, **kwargs: Any) -> fx.Node:
        return self.graph.call_method(name, (value, *args), kwargs)

    def param(self, role: str) -> fx.Node:
        return self.graph.get_attr(self.store.param(self.node, role))

    def sizes(self, shape: tuple[Dim, ...]) -> tuple[Any, ...]:
        source = self.node.inputs[0] if self.node.inputs else next(iter(self.values))
        return (self._read(source, 0), *(dim if isinstance(dim, int) else self._size(dim) for dim in shape))

    def _size(self, dim: Symbolic) -> fx.Node:
        """Return a size known at run time, read from an input of the layer if it has it, else from those of the net."""
        for node in self.node.inputs:
            if dim in node.type.shape:
                return self._read(node, node.type.shape.index(dim) + 1)
        size: fx.Node = compute(dim, self._symbol).node
        return size

    def _symbol(self, symbol: Symbol) -> Any:
        node, axis, factor = next(
            (node, axis, dim.terms[(symbol,)])
            for node in self.values
            if node.layer.kind == "input"
            for axis, dim in enumerate(node.type.shape, start=1)
            if isinstance(dim, Symbolic) and dim.terms.keys() == {(symbol,)}
        )
        size: Any = fx.Proxy(self._read(node, axis))
        return size if factor == 1 else size // factor

    def _read(self, node: Node, axis: int) -> fx.Node:
        return self.graph.call_method("size", (self.values[node], axis))
