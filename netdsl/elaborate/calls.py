"""Calls: the block or layer that a name stands for, its default arguments, and the place of a block's body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.elaborate.binding import match, require
from netdsl.elaborate.callee import Callee
from netdsl.elaborate.errors import CALL
from netdsl.elaborate.place import Place, Tensor
from netdsl.elaborate.values import BlockValue, LayerValue, TensorValue, Unknown, Value
from netdsl.layers.arguments import describe
from netdsl.layers.base import LAYERS, Layer
from netdsl.layers.suggestions import composed, layers_elsewhere, suggestion
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.source import Span
    from netdsl.elaborate.elaboration import Elaboration
    from netdsl.elaborate.module import BlockDefinition
    from netdsl.elaborate.names import Names
    from netdsl.elaborate.place import Defaults

SKIPS = {"residual": "skip", "residual_connection": "skip"}
"""Names of other frameworks for `skip`, which is no layer."""
MADE_BY_STATEMENTS = ("input", "param")
"""Layers that statements make, and that cannot be called."""


def target_of(
    place: Place, name: str, span: Span, remedy: str = "`netdsl layers` lists them"
) -> BlockDefinition | type[Layer] | Unknown:
    """The block or layer that a name stands for at a place; `remedy` is for a name that resembles no other.

    Raises:
        NetdslError: the name stands for neither (E0201).
    """
    value = place.environment.find(name)
    if isinstance(value, BlockValue):
        return value.definition
    if isinstance(value, LayerValue):
        return value.layer
    if isinstance(value, Unknown):
        return value
    if isinstance(value, TensorValue):
        raise fail("E0201", f"`{name}` holds a tensor", span, help=f"write `@{name}`")
    if name in place.module.blocks:
        return place.module.blocks[name]
    if name in LAYERS and name not in MADE_BY_STATEMENTS:
        return LAYERS[name]
    if value is not None:
        raise fail("E0201", f"`{name}` is {describe(value)}, and neither a layer nor a block", span)
    if name in place.module.nets:
        raise fail(
            "E0201",
            f"`{name}` is a net, and a net cannot be a part of another",
            span,
            help="turn it into a `block`, and call that from a `net`",
        )
    raise fail(
        "E0201",
        f"there is no layer or block `{name}`",
        span,
        help=f"write `@{name}` for the tensor"
        if name in place.names.labels()
        else composed(name)
        or suggestion(name, {*place.module.blocks, *LAYERS, "skip"}, {**layers_elsewhere(), **SKIPS})
        or remedy,
    )


def kind_of(place: Place, item: tree.Item) -> str:
    """The name from which an unlabelled call gets its own: that of the layer or block, even through a parameter."""
    if isinstance(item, tree.Reuse):
        return f"{item.target.parts[-1].name}_reuse"
    if not isinstance(item, tree.Call):
        return ""
    value = place.environment.find(item.name)
    if isinstance(value, BlockValue):
        return value.definition.declaration.name
    return value.layer.kind if isinstance(value, LayerValue) else item.name


def set_default(elaboration: Elaboration, place: Place, statement: tree.Default) -> None:
    """Carry out `default conv bias=no`: the arguments become defaults for what follows."""
    elaboration.errors.spend(place.names.scope, CALL, statement.span)
    target = target_of(place, statement.name, statement.name_span)
    if isinstance(target, Unknown):
        return
    callee = Callee.of_target(statement.name, target)
    bound = match(callee, statement.arguments, elaboration.evaluator(place, None))
    place.defaults[target] = {**place.defaults.get(target, {}), **bound}


def _file_defaults(elaboration: Elaboration, target: BlockDefinition, names: Names) -> Defaults:
    """The defaults of a file that apply where it defines a block: the same for every call."""
    key = (target.module, target.defaults)
    if key not in elaboration.file_defaults:
        place = Place(target.module, target.module.environment, names, {}, 0)
        for default in target.module.defaults[: target.defaults]:
            try:
                set_default(elaboration, place, default)
            except NetdslError as error:
                elaboration.errors.report(error, names.scope)
        elaboration.file_defaults[key] = place.defaults
    return elaboration.file_defaults[key]


def block_place(
    elaboration: Elaboration,
    target: BlockDefinition,
    values: Mapping[str, Value],
    names: Names,
    depth: int,
    span: Span | None,
    current: Tensor = None,
) -> Place:
    """The place of a block's body: its parameters, and the defaults of the file that defines it.

    Defaults of parameters may use `current`, the tensor that reaches the block: `block se(n = in.channels // 16)`.
    """
    declaration = target.declaration
    require(Callee.of_declaration(declaration.name, declaration), values, span)
    defaults = _file_defaults(elaboration, target, names)
    file_level = Place(target.module, target.module.environment, names, defaults, depth)
    place = elaboration.deeper(file_level.inner(names, values), span)
    for parameter in declaration.parameters:
        if parameter.default is not None and parameter.name not in values:
            value = elaboration.evaluator(place, current).evaluate(parameter.default)
            place.environment.values[parameter.name] = value
    return place
