"""What tests of ejected files share: the module in a file, and what a module does, whatever its text looks like."""

from __future__ import annotations

import inspect
import operator
from unittest import mock

import torch
from torch import fx, nn
from torch.nn import functional

from netdsl.backends.torch import modules as torch_modules
from netdsl.backends.torch.lower import _Store


def module_in(source, name, device="meta"):
    """The module that a file's last class makes."""
    namespace = {"__name__": "ejected"}
    exec(compile(source, f"{name}.py", "exec"), namespace)  # noqa: S102 - it is what such files are for
    assert not [key for key in namespace if "netdsl" in key]
    *_, last = (line.removeprefix("class ").partition("(")[0] for line in source.splitlines() if line[:6] == "class ")
    with torch.device(device):
        return namespace[last]()


def hollow(net):
    """The net's GraphModule with tensors that have no values, which take time and memory in large nets."""
    with mock.patch.object(_Store, "_tensor", lambda _, param: torch.empty(param.spec.shape, **hollow_type(param))):
        return net.to_torch(lambda _: None)  # no values, so that none are drawn


def hollow_type(param):
    return {"dtype": getattr(torch, param.spec.dtype.value), "device": "meta"}


def keys(module):
    """What a module's `state_dict` holds."""
    return {key: (tuple(value.shape), value.dtype) for key, value in module.state_dict().items()}


class Tracer(fx.Tracer):
    """Sees through the classes of a file, and not through those of PyTorch and of `torch_modules`."""

    def is_leaf_module(self, module, path):  # noqa: ARG002 - as fx calls it
        own = type(module).__name__ in vars(torch_modules)
        return own or (type(module).__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential))


def computation(module, graph, known):
    """A number for what a graph computes: the same where operations, their order and all arguments are the same.

    `known` has the numbers given so far, so that graphs that share it can be compared.
    """
    of_node = {}

    def number(*entry):
        return known.setdefault(entry, len(known))

    def value(argument):
        match argument:
            case fx.Node():
                return of_node[argument]
            case list() | tuple():
                return tuple(value(item) for item in argument)
            case dict():
                return tuple((key, value(argument[key])) for key in sorted(argument))
            case slice():
                return "slice", value(argument.start), value(argument.stop), value(argument.step or 1)
        return repr(argument)

    def of(node, place):
        match node.op, node.target, node.args:
            case "placeholder", _, _:
                return number("input", place)
            case "call_module", path, args:
                inner = module.get_submodule(path)
                if isinstance(inner, nn.Identity):  # what stands for a module that is not there
                    return of_node[args[0]]
                place = path if inner.state_dict() else None  # a `reuse` may apply a ReLU of its own, or the first
                return number(place, settings(inner), value(args))
            case "call_method", "size", (x, axis):  # a person writes x.shape[axis]
                return number(operator.getitem, (number("shape", value(x)), value(axis)), ())
            case "call_function", function, (x, "shape") if function is getattr:
                return number("shape", value(x))
        defaults = inspect.signature(node.target).parameters if node.target is functional.pad else {}
        given = {key: item for key, item in node.kwargs.items() if key not in defaults or item != defaults[key].default}
        return number(node.target, value(node.args), value(given))

    for place, node in enumerate(graph.nodes):
        of_node[node] = of(node, place)
    return of_node[node]


def settings(module):
    """A module's class and plain attributes: kernel, stride and whatever it was made with."""
    plain = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, int | float | str | tuple | list) and not key.startswith("_")
    }
    if getattr(module, "stride", 0) is None:  # a pool's stride is its kernel
        plain["stride"] = module.kernel_size
    return type(module).__name__, repr(sorted(plain.items()))


def same_computation(module, reference):
    """Whether a module does what a GraphModule does in its present mode, whatever its text looks like."""
    known = {}
    return computation(module, Tracer().trace(module), known) == computation(reference, reference.graph, known)
