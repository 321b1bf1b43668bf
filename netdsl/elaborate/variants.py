"""The arguments of a net: from its variants, and from the command line or the API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.elaborate.arithmetic import exact
from netdsl.elaborate.binding import match
from netdsl.elaborate.callee import Bound, Callee
from netdsl.elaborate.errors import MAX_BLOCK_DEPTH, Errors
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.functions import TooLong, extent
from netdsl.elaborate.module import BlockDefinition, NetDefinition, VariantDefinition
from netdsl.elaborate.said import Said
from netdsl.elaborate.values import BlockValue, LayerValue, Value
from netdsl.ir.graph import Scope
from netdsl.layers.base import LAYERS
from netdsl.layers.suggestions import suggestion
from netdsl.recipe.words import NUMBERS, RATES, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping


def resolve(net: NetDefinition, errors: Errors) -> tuple[BlockDefinition, dict[str, Value], list[VariantDefinition]]:
    """The net with a body behind a variant, the arguments collected on the way (the outermost win), and the way.

    Raises:
        NetdslError: a variant of nothing (E0206), of itself (E0211) or too deep (E0702), or arguments that do not fit.
    """
    bound: dict[str, Bound] = {}
    pending: list[VariantDefinition] = []
    while isinstance(net, VariantDefinition):
        variant = net.declaration
        if len(pending) > MAX_BLOCK_DEPTH:
            message = f"variants of variants are nested more than {MAX_BLOCK_DEPTH} deep"
            raise fail("E0702", message, variant.base_span, help="make variants of the net with a body")
        if net in pending:
            raise fail(
                "E0211",
                f"`{variant.name}` is a variant of itself",
                variant.base_span,
                help="give one of them a body, as `net name { ... }`",
            )
        pending.append(net)
        known = net.module.nets
        if variant.base in net.module.blocks:
            raise fail(
                "E0206",
                f"`{variant.base}` is a block, and a variant is made of a net",
                variant.base_span,
                help=f"call it in a net: `net {variant.name} {{ input image: 3x224x224; {variant.base} ... }}`",
            )
        if variant.base not in known:
            raise fail(
                "E0206",
                f"there is no net `{variant.base}`",
                variant.base_span,
                help=suggestion(variant.base, known) or "a variant is made of a `net` seen from here",
            )
        net = known[variant.base]
    for definition in reversed(pending):
        variant = definition.declaration
        callee = Callee.of_declaration(variant.base, net.declaration)
        spend = partial(errors.spend, Scope(""))
        bound |= match(callee, variant.arguments, Evaluator(definition.module, definition.module.environment, spend))
        errors.origin = (*errors.origin, (variant.base, variant.base_span))
    return net, {key: argument.value for key, argument in bound.items()}, pending


def given(name: str, base: BlockDefinition, arguments: Mapping[str, object]) -> dict[str, Value]:
    """The arguments that the command line or the API passes to the net `name`, whose body is `base`.

    Raises:
        NetdslError: the net has no such argument (E0301), or its value is no value of the language (E0305).
    """
    callee = Callee.of_declaration(name, base.declaration)
    known = [formal.name for formal in callee.formals]
    for key, value in arguments.items():
        if key not in known:
            raise fail(
                "E0301",
                f"the net `{name}` has no parameter `{key}`",
                value.key if isinstance(value, Said) else base.declaration.name_span,
                help=_entry(key, value) or suggestion(key, known) or callee.usage(),
            )
    return {key: _value(key, value, base) for key, value in arguments.items()}


def _entry(key: str, value: object) -> str | None:
    """The remedy for an entry of the recipe that is given like a parameter: `--set epochs=3`."""
    if key not in {*WORDS, *NUMBERS, *RATES} or not isinstance(value, Said):
        return None
    return f"write `train.{value.key.source.text}`, which belongs to the recipe"


def _value(key: str, value: object, base: BlockDefinition) -> Value:
    """Convert a value from outside; a string may be the name of a block or a layer."""
    if isinstance(value, Said):
        return value.value(base.module)
    if isinstance(value, list | tuple):
        try:
            extent(value)
        except TooLong as error:
            raise fail("E0703", f"`{key}`: {error}") from None
        return tuple(_value(key, item, base) for item in value)
    if isinstance(value, str) and value in base.module.blocks:
        return BlockValue(base.module.blocks[value])
    if isinstance(value, str) and value in LAYERS:
        return LayerValue(LAYERS[value])
    if isinstance(value, float):
        return exact(value)
    if isinstance(value, int | str):
        return value
    raise fail("E0305", f"`{key}` expected a number, a truth value, a string or a list, got {type(value).__name__}")
