"""Explanations of syntax errors, as a table of common mistakes: each entry recognizes one and suggests a remedy.

The first entry that recognizes the place is used; if none does, the error lists what was expected and what was found.
The programs `syntax_*` in `tests/diagnostics/errors` show the entries in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.syntax.mistakes import arguments, control, declarations, expressions, names
from netdsl.syntax.mistakes.characters import explain_malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netdsl.base.diagnostics import Diagnostic
    from netdsl.syntax.mistakes.spot import Spot

_MISTAKES: tuple[Callable[[Spot], Diagnostic | None], ...] = (
    declarations.nested_declaration,
    declarations.use_without_quotes,
    declarations.variant_without_brackets,
    declarations.hyphen,
    expressions.arrow,
    expressions.comment,
    declarations.declaration_expected,
    control.equals_in_condition,
    control.for_with_equals,
    arguments.train_entry,
    arguments.call_in_parentheses,
    control.else_alone,
    control.shortcut_alone,
    names.input_without_name,
    names.output_as_label,
    names.name_reserved,
    names.name_missing,
    names.aux_without_colon,
    names.assignment,
    control.else_if_in_one_word,
    arguments.shape_as_value,
    expressions.index,
    expressions.current_tensor,
    control.body_missing,
    control.body_of_a_call,
    arguments.comma,
    arguments.percent,
    arguments.value_missing,
    arguments.colon_for_equals,
    expressions.function,
    expressions.counting,
    arguments.shape,
    declarations.goes_on,
)


def explain(spot: Spot) -> Diagnostic:
    """Explain the error at a token where the parser cannot continue."""
    if spot.token.type == "MALFORMED":
        return explain_malformed(spot.token)
    for mistake in _MISTAKES:
        found = mistake(spot)
        if found is not None:
            return found
    return spot.error(f"expected {spot.expected}, got {spot.found}")
