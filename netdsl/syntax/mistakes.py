"""Syntax errors as a table of common mistakes: each entry knows one mistake, and what to write in its stead.

The first entry that recognises the place speaks; where none does, the error says what was found and what was expected.
The programs in `tests/errors` named `syntax_*` show every entry at work.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from netdsl.diagnostics import Diagnostic
from netdsl.source import Span
from netdsl.syntax.expected import Spot, shorten
from netdsl.syntax.malformed import explain_malformed
from netdsl.syntax.scanner import CLOSERS, OPENERS, Token

if TYPE_CHECKING:
    from collections.abc import Callable

Finding: TypeAlias = Diagnostic | None

FUNCTIONS = ("min", "max", "ceil", "floor", "round", "abs", "sum", "len", "range", "enumerate", "zip")

_BEGINS = frozenset({"_END", "_ARROW", "COLON", "LBRACE", "LSQB"})
"""What stands before the first token of an element."""
_WITH_BODY = frozenset({"REPEAT", "FOR", "IF", "ELSE", "SKIP", "SHORTCUT", "CONCAT", "ADD", "MUL", "MAX", "MEAN", "AUX",
                        "NET", "BLOCK"})
_NAMED = {
    "NET": "net name { ... }", "BLOCK": "block name(width) { ... }", "DEFAULT": "default conv bias=no",
    "LET": "let n = 3", "INPUT": "input image: 3x224x224", "PARAM": "param token: 1x768", "OUTPUT": "output logits",
    "AUX": "aux name { ... }", "REUSE": "reuse label", "FOR": "for n in [1, 2, 3] { ... }",
}
_VALUED = {
    "REPEAT": "repeat 3 { ... }", "IF": "if stride > 1 { ... }", "ASSERT": "assert params == 61706",
    "IN": "for i in 1..3 { ... }", "LABELS": 'labels ["plane", "car"]', "WHERE": "where H % 32 == 0",
}
_ELSE_IF = ("elif", "elseif", "elsif")
_OTHER_LANGUAGES = {
    "import": 'write `use "other.net"`', "include": 'write `use "other.net"`', "from": 'write `use "other.net"`',
    "def": "write `block name(...) { ... }`", "fn": "write `block name(...) { ... }`",
    "func": "write `block name(...) { ... }`", "function": "write `block name(...) { ... }`",
    "module": "write `block name(...) { ... }`", "layer": "write `block name(...) { ... }`",
    "class": "write `net name(...) { ... }`", "model": "write `net name(...) { ... }`",
    "network": "write `net name(...) { ... }`",
}


def explain(spot: Spot) -> Diagnostic:
    """What is wrong at a place where the parser cannot go on."""
    if spot.token.type == "MALFORMED":
        token = spot.token
        line_start = token.source.line_starts[token.source.position(token.start)[0] - 1]
        return explain_malformed(token, token.source.text[line_start : token.start])
    for mistake in _MISTAKES:
        found = mistake(spot)
        if found is not None:
            return found
    return Diagnostic("E0101", f"expected {spot.expected}, found {spot.found}", _shown(spot))


def reserved_name(name: Span) -> Diagnostic:
    """The error of a name that the language reads as something else."""
    text = name.text
    if re.fullmatch(r"[kspdg][0-9]+(x[0-9]+)*", text):
        return Diagnostic("E0109", f"`{text}` is short for the argument `{text[0]}={text[1:]}` and so cannot be a name",
                          name, help=f"write `{text[0]}_{text[1:]}`")
    return Diagnostic("E0109", f"`{text}` is a word of the language and cannot be a name", name,
                      help=f"choose another one, such as `{text}_`")


def _shown(spot: Spot) -> Span:
    """The token at fault; the end of a line is shown behind its last token."""
    if (spot.ends_line or spot.token.type == "$END") and spot.at:
        end = spot.near(-1).end
        return Span(spot.token.source, end, end)
    return spot.token.span


def _error(spot: Spot, message: str, help: str, span: Span | None = None) -> Diagnostic:  # noqa: A002 - as in Diagnostic
    return Diagnostic("E0101", message, span or _shown(spot), help=help)


# ------------------------------------------------------------------------------------------------ around declarations


def _declaration_due(spot: Spot) -> Finding:
    """`import "x.net"`; `conv 3` outside of all nets."""
    if "NET" not in spot.accepts:
        return None
    text = spot.token.text
    if text in _OTHER_LANGUAGES:
        return _error(spot, f"`{text}` is not a word of the language", _OTHER_LANGUAGES[text])
    if spot.token.type == "NAME" or spot.is_word(spot.token):
        return _error(spot, f"`{text}` stands outside of every `net` and `block`",
                      "write `net name { ... }` around the layers")
    return _comment(spot) or _error(spot, f"expected {spot.expected}, found {spot.found}",
                                    "a file is a list of declarations; layers stand inside a `net`")


def _nested_declaration(spot: Spot) -> Finding:
    """`net a { block b { ... } }`."""
    if spot.wants_layer and spot.types(0, "NET|BLOCK|USE"):
        return _error(spot, f"`{spot.token.text}` stands inside a body", "declarations stand outside of all brackets")
    return None


def _use_without_quotes(spot: Spot) -> Finding:
    """`use other.net`."""
    if spot.types(-1, "USE"):
        rest = re.match(r"\S*", spot.token.source.text[spot.token.start :])
        return _error(spot, "the path of a used file is a string", f'write `use "{rest[0] if rest else ""}"`')
    return None


def _variant_without_brackets(spot: Spot) -> Finding:
    """`net small = resnet`."""
    if spot.types(-2, "EQUAL", "NAME") and spot.accepts == {"LPAR"}:
        name = spot.near(-1).text
        return _error(spot, f"the arguments of `{name}` are missing", f"write `{name}()`, or arguments in the brackets")
    return None


# ------------------------------------------------------------------------------------------------ names and labels


def _name_reserved(spot: Spot) -> Finding:
    """`block mean(c) { ... }`, `input: conv 8`."""
    if spot.types(0, "COLON") and spot.is_word(spot.near(-1)) and not spot.types(1, "LBRACE|LSQB"):
        return None if spot.types(-1, "ELSE") else reserved_name(spot.near(-1).span)
    if spot.wants_name and "_END" not in spot.accepts and not spot.types(0, "IN"):
        return reserved_name(spot.token.span) if spot.is_word(spot.token) or spot.types(0, "SHORT") else None
    if spot.wants_layer and spot.is_word(spot.token) and spot.types(1, "COLON"):
        return reserved_name(spot.token.span)
    return None


def _name_missing(spot: Spot) -> Finding:
    """`output`, `aux { ... }`, `reuse @label`."""
    keyword = spot.near(-1)
    if not (spot.wants_name and keyword.type in _NAMED):
        return None
    if spot.types(0, "SHAPE|INT|LSQB"):
        return _error(spot, f"`{keyword.text}` needs a name", f"write `{keyword.text} name: {spot.token.text}`")
    if spot.types(0, "REFERENCE|OPEN_REFERENCE"):
        return _error(spot, f"`{keyword.text}` takes a label without `@`", f"write `{keyword.text} {spot.token.text[1:]}`")
    return _error(spot, f"`{keyword.text}` needs a name, found {spot.found}", f"it looks like `{_NAMED[keyword.type]}`")


def _assignment(spot: Spot) -> Finding:
    """`features = conv 3`."""
    if spot.types(0, "EQUAL") and spot.types(-1, "NAME") and spot.near(-2).type in _BEGINS:
        name, value = spot.near(-1).text, spot.near(1)
        if value.type == "NAME" or spot.is_word(value):
            return _error(spot, "a layer is labelled with `:`, not with `=`",
                          f"write `{name}: {value.text} ...`; to name a number, `let {name} = ...`")
        return _error(spot, "`=` gives a value to arguments and in a `let` only", f"write `let {name} = {value.text}`")
    return None


def _body_of_a_call(spot: Spot) -> Finding:
    """`features { conv 3 }`, which the grammar takes for the label `features{...}:`."""
    if spot.accepts == {"COLON"} and spot.types(-1, "RBRACE"):
        opener = next(i for i in range(spot.at - 1, -1, -1) if spot.tokens[i].type == "LBRACE")
    elif spot.types(0, "LBRACE|LSQB"):
        opener = spot.at
    else:
        opener = spot.opener or 0
    first = opener if opener != spot.at else spot.at - len(spot.statement) + 1
    name = spot.tokens[first - 1]
    known = opener > 1 and name.type == "NAME" and spot.tokens[first - 2].type in _BEGINS
    if not known or spot.tokens[opener].type not in ("LBRACE", "LSQB") or "LBRACE" in spot.accepts:
        return None
    if name.text in _ELSE_IF:
        return _else_if(name)
    bracket = spot.tokens[opener]
    touches = spot.tokens[opener - 1] is name
    return _error(spot, f"`{name.text}` is taken for a layer, and a layer has no body",
                  f"to label a group, write `{name.text}: {bracket.text}`" if touches
                  else "begin a new line, or write `->` before the group", bracket.span)


# ------------------------------------------------------------------------------------------------ arguments


def _call_in_parentheses(spot: Spot) -> Finding:
    """`conv(6, k=5)`, `relu()`."""
    if spot.types(0, "EQUAL") and spot.opener:
        opener = spot.opener
    elif spot.types(-1, "LPAR", "RPAR"):
        opener = spot.at - 1
    else:
        return None
    name = spot.tokens[opener - 1]
    if spot.tokens[opener].type != "LPAR" or name.type != "NAME" or "EQUAL" in spot.accepts:
        return None
    return parenthesised_arguments(name.span, spot.tokens[opener].span)


def parenthesised_arguments(name: Span, opener: Span) -> Diagnostic:
    """The error of a call written as in other languages, with the call as it should be."""
    inner = re.match(r"\(([^()\n]*)\)", opener.source.text[opener.start : opener.start + 200])
    rewritten = re.sub(r"\s*=\s*", "=", inner[1].replace(",", " ")).split() if inner else ["..."]
    return Diagnostic("E0101", f"the arguments of `{name.text}` stand in parentheses", opener,
                      help=f"arguments follow the name, with blanks between: `{' '.join([name.text, *rewritten])}`")


def _comma(spot: Spot) -> Finding:
    """`conv 6, 5`, `labels "a", "b"`."""
    if not spot.types(0, "COMMA"):
        return None
    if spot.statement[0].type == "LABELS":
        return _error(spot, "the labels are one list", 'write `labels ["a", "b"]`')
    if "_ARROW" in spot.accepts:
        return _error(spot, "arguments are separated by blanks", "remove the comma; between layers write `->`")
    return None


def _value_missing(spot: Spot) -> Finding:
    """`conv 6 k=`, `repeat { ... }`."""
    keyword = spot.near(-1)
    if spot.wants_value and keyword.type in _VALUED:
        return _error(spot, f"`{keyword.text}` needs a value, found {spot.found}",
                      f"it looks like `{_VALUED[keyword.type]}`")
    if spot.types(-1, "EQUAL") and spot.wants_value and not spot.types(0, "EQUAL|OPERATOR"):
        return _error(spot, f"`{spot.near(-2).text}=` has no value", "a value follows `=`",
                      spot.near(-2).span.to(spot.near(-1).span))
    return None


def _colon_for_equals(spot: Spot) -> Finding:
    """`conv 6 k: 5`; `conv 6 fc: dense 10`."""
    if not (spot.types(-1, "NAME", "COLON") and "_ARROW" in spot.accepts):
        return None
    name, value = spot.near(-1).text, spot.near(1)
    if value.type == "NAME" or spot.is_word(value):
        return _error(spot, f"the label `{name}` stands behind a layer",
                      f"begin a new line, or write `->` before `{name}:`", spot.near(-1).span)
    return _error(spot, f"`{name}` is given its value with `=`", f"write `{name}={value.text}`")


def _join_argument(spot: Spot) -> Finding:
    """`concat 1 { ... }`."""
    if spot.types(-1, "CONCAT|ADD|MUL|MAX|MEAN") and spot.types(0, "INT|FLOAT|SIGN|SHORT|LPAR"):
        join = spot.near(-1).text
        remedy = f"write `axis={spot.token.text}`" if join == "concat" else f"the branches stand in a body: `{join} {{ ... }}`"
        return _error(spot, f"`{join}` takes only `key=value` arguments", remedy)
    return None


def _train_entry(spot: Spot) -> Finding:
    """`train { batch = 128 }`."""
    opener = spot.opener
    if opener and spot.types(opener - 1 - spot.at, "TRAIN") and spot.types(-1, "NAME", "EQUAL|COLON"):
        return _error(spot, f"`{spot.near(-1).text}` is followed by its value at once",
                      f"write `{spot.near(-1).text} {spot.near(1).text}`")
    return None


# ------------------------------------------------------------------------------------------------ shapes


def _shape(spot: Spot) -> Finding:
    """`input x: 3 x 224 x 224`, `input x: (3, 224, 224)`, `input x 3x224x224`."""
    keyword = spot.statement[0].type if spot.statement else ""
    if keyword in ("INPUT", "PARAM") and len(spot.statement) == 2:
        return _error(spot, "`:` is missing between the name and the shape",
                      f"write `{spot.near(-1).text}: 3x224x224`, with the shape that it has")
    if keyword in ("INPUT", "PARAM", "EXPECT") and ("SHAPE" in spot.accepts or not spot.accepts & {"COLON", "OPERATOR"}):
        return _error(spot, f"expected {spot.expected}, found {spot.found}",
                      "a shape is written without blanks, the batch left out: `3x224x224` or `[c, size, size]`")
    return None


def _shape_as_value(spot: Spot) -> Finding:
    """`conv 64 3x3`."""
    if spot.types(0, "SHAPE") and spot.wants_value:
        text = shorten(spot.token.text)
        windowed = any("conv" in token.text or "pool" in token.text for token in spot.statement if token.type == "NAME")
        return _error(spot, f"`{text}` is a shape, and a value is due",
                      f"a kernel is written `k{text}`" if windowed else f"write `[{', '.join(text.split('x'))}]`")
    return None


# ------------------------------------------------------------------------------------------------ control


def _else_on_a_new_line(spot: Spot) -> Finding:
    """A closing bracket, a new line, `else`."""
    if spot.types(0, "ELSE") and spot.types(-1, "_END"):
        bracket = spot.near(-2).text if spot.near(-2).type in CLOSERS else "}"
        return _error(spot, "`else` begins a line", f"put it behind the bracket that it follows: `{bracket} else {{`")
    return None


def _elif(spot: Spot) -> Finding:
    """`if a { ... } elif b { ... }`."""
    return _else_if(spot.token) if "ELSE" in spot.accepts and spot.token.text in _ELSE_IF else None


def _else_if(token: Token) -> Diagnostic:
    return Diagnostic("E0101", f"`{token.text}` is not a word of the language", token.span, help="write `else if`")


def _equals_in_condition(spot: Spot) -> Finding:
    """`if depth = 3 { ... }`."""
    if spot.types(0, "EQUAL") and "OPERATOR" in spot.accepts \
            and any(token.type in ("IF", "ASSERT", "WHERE") for token in spot.statement):
        return _error(spot, "`=` does not compare", f"write `{spot.near(-1).text} == {spot.near(1).text}`")
    return None


def _for_with_equals(spot: Spot) -> Finding:
    """`for i = 1..3 { ... }`."""
    if spot.types(-2, "FOR", "NAME", "EQUAL"):
        return _error(spot, "`for` takes its values with `in`", f"write `for {spot.near(-1).text} in`")
    return None


def _body_missing(spot: Spot) -> Finding:
    """`repeat 3`, `if a:`, and a bracket on a line of its own."""
    if not spot.wants_body:
        return None
    keyword = next((token for token in reversed(spot.statement) if token.type in _WITH_BODY), None)
    if keyword is None:
        return None
    message = f"`{keyword.text}` needs a body in `{{ }}` or `[ ]`, found {spot.found}"
    if spot.types(0, "_END", "LBRACE|LSQB"):
        return _error(spot, message, f"put the `{spot.near(1).text}` at the end of this line")
    if spot.types(0, "COLON"):
        return _error(spot, message, "write `{` instead of `:`, and `}` at the end of the body")
    return _error(spot, message, "put what belongs to it between `{` and `}`")


# ------------------------------------------------------------------------------------------------ marks


def _arrow(spot: Spot) -> Finding:
    """`conv 3 >> relu`, `conv 3 => relu`, an arrow that leads from or to nothing."""
    for first in (-1, 0):
        one, two = spot.near(first), spot.near(first + 1)
        if one.end == two.start and one.text + two.text in ("=>", ">>", "-->", "->>", "~>"):
            return _error(spot, f"`{one.text + two.text}` is not an arrow of the language", "write `->`",
                          one.span.to(two.span))
    if spot.types(0, "_ARROW") and spot.wants_layer:
        return _error(spot, "there is no layer before `->`", "remove the arrow, or write a layer before it")
    if spot.types(-1, "_ARROW") and not (spot.is_word(spot.token) or spot.types(0, "INT|STRING|SHORT")):
        return _error(spot, "there is no layer after `->`", "remove the arrow, or write a layer behind it",
                      spot.near(-1).span)
    return None


def _comment(spot: Spot) -> Finding:
    """`// text`."""
    if spot.types(0, "OPERATOR|SIGN") and spot.token.text in "//*--" and "OPERATOR" not in spot.accepts \
            and not spot.types(-1, "OPERATOR|SIGN|EQUAL|LPAR|COMMA"):
        return _error(spot, f"{spot.found} begins neither a layer nor an argument", "a comment begins with `#`")
    return None


def _index(spot: Spot) -> Finding:
    """`let n = depths[0]`, `repeat depths[0] { ... }`."""
    here = spot.at if spot.types(0, "LSQB") and "OPERATOR" in spot.accepts else spot.opener
    if here and spot.tokens[here].type == "LSQB" and spot.tokens[here - 1].type == "NAME" \
            and spot.tokens[here - 1].end == spot.tokens[here].start:
        name = spot.tokens[here - 1].text
        return _error(spot, f"`{name}[...]`: lists have no index", f"unpack the list: `let a, b = {name}`",
                      spot.tokens[here].span)
    return None


def _power(spot: Spot) -> Finding:
    """`2 ** n`."""
    if spot.types(-1, "OPERATOR", "OPERATOR") and spot.near(-1).text == spot.token.text == "*":
        return _error(spot, "there are no powers", "multiply", spot.near(-1).span.to(spot.token.span))
    return None


def _function(spot: Spot) -> Finding:
    """`let x = sqrt(2)`, `let x = min 1`."""
    if spot.types(-1, "NAME", "LPAR") and "OPERATOR" in spot.accepts:
        return _error(spot, f"`{spot.near(-1).text}` is not a function",
                      f"there are {', '.join(f'`{name}`' for name in FUNCTIONS)}", spot.near(-1).span)
    if spot.near(-1).text in FUNCTIONS and spot.accepts == {"LPAR"}:
        name = spot.near(-1).text
        return _error(spot, f"`{name}` is a function, and its arguments stand in parentheses", f"write `{name}(...)`",
                      spot.near(-1).span)
    return None


def _current_tensor(spot: Spot) -> Finding:
    """`conv in`, `x.channels`, `.5`."""
    if spot.types(0, "IN") and spot.wants_value:
        return _error(spot, "`in` by itself is not a value", "write `in.channels`, `in.height`, `in.width` or `in.rank`")
    if not spot.types(0, "TAIL"):
        return None
    if spot.token.text[1:2].isdigit():
        return _error(spot, "numbers have digits on both sides of the point", f"write `0{spot.token.text}`")
    return _error(spot, f"`{spot.near(-1).text}` has no parts",
                  f"the current tensor is `in`, as in `in.channels`; a label is `@{spot.near(-1).text}{spot.token.text}`")


def _goes_on(spot: Spot) -> Finding:
    """`skip { ... } relu`, two declarations in a line."""
    if "_END" not in spot.accepts or not (spot.types(0, "NAME") or spot.is_word(spot.token)):
        return None
    arrow = f"write `->` before `{spot.token.text}`, or " if "_ARROW" in spot.accepts else ""
    return _error(spot, f"expected {spot.expected}, found {spot.found}", f"{arrow}begin a new line")


def _counting(spot: Spot) -> Finding:
    """`let xs = 1..3`."""
    if spot.types(0, "_TO"):
        return _error(spot, "`..` counts in the head of a `for` only", "elsewhere write `range(...)`")
    return None


_MISTAKES: tuple[Callable[[Spot], Finding], ...] = (
    _nested_declaration, _use_without_quotes, _variant_without_brackets, _arrow, _declaration_due,
    _equals_in_condition, _for_with_equals, _train_entry, _call_in_parentheses, _join_argument, _else_on_a_new_line,
    _name_reserved, _name_missing, _assignment, _elif, _shape_as_value, _index, _current_tensor, _body_missing,
    _body_of_a_call, _comma, _value_missing, _colon_for_equals, _power, _function, _counting, _shape, _comment, _goes_on,
)
