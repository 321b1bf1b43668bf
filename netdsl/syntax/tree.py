"""The syntax tree: frozen dataclasses, each with the span of its text.

The tree holds what was written, in the order of the text; nothing is resolved here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from netdsl.base.source import Source, Span


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The base of all nodes of the tree."""

    span: Span


# ------------------------------------------------------------------------------------------------ expressions


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Tree):
    """A number, a truth value (`yes`, `no`) or a string."""

    value: int | float | bool | str


@dataclass(frozen=True, slots=True, eq=False)
class Name(Tree):
    """The name of a parameter, of a `let`, of a block, or a word that an argument takes (`same`)."""

    id: str


@dataclass(frozen=True, slots=True, eq=False)
class InAttribute(Tree):
    """`in.channels` and similar: `attribute` is the word after the dot."""

    attribute: str


@dataclass(frozen=True, slots=True, eq=False)
class List(Tree):
    """`[a, b]` or `(a, b)`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Index(Tree):
    """`list[i]`: one element, counted from 0, or from the end by negative numbers."""

    items: Expression
    position: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Tree):
    """`list[first:end]`: the elements from `first` up to, but not including, `end`; both are optional."""

    items: Expression
    first: Expression | None
    end: Expression | None


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Tree):
    """`-x`, `+x` or `not x`."""

    operator: Literal["-", "+", "not"]
    operand: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Tree):
    """Arithmetic, comparison, `and`, `or`; `in` is not an operator."""

    operator: Literal["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(Tree):
    """`then if condition else otherwise`."""

    then: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True, eq=False)
class FunctionCall(Tree):
    """`min(a, b)` and the other built-in functions."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePart(Tree):
    """One step of a path: `layer1`, `0`, or `cell{i-1}` (name and computed index)."""

    name: str
    index: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference(Tree):
    """`@enc3`, `@layer1.0.conv1`, `@cell{i-1}`: the output of the element with that label."""

    parts: tuple[ReferencePart, ...]


Expression: TypeAlias = (
    Constant | Name | InAttribute | List | Index | Slice | Unary | Binary | Conditional | FunctionCall | Reference
)


@dataclass(frozen=True, slots=True, eq=False)
class Argument(Tree):
    """`64`, `k3` or `k=3`: `key` is None for a positional argument; `value.span` is the value alone."""

    key: str | None
    value: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Shape(Tree):
    """`3x224x224`, `3xHxW`, `784` or `[c, size, size]`, without the batch; a capital letter is a `Name`."""

    dims: tuple[Expression, ...]


# ------------------------------------------------------------------------------------------------ elements of a chain


@dataclass(frozen=True, slots=True, eq=False)
class Label(Tree):
    """`fc:` or `cell{i}:`."""

    name: str
    index: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Body(Tree):
    """`{ ... }` (named members) or `[ ... ]` (numbered members)."""

    style: Literal["{", "["]
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call(Tree):
    """A layer or a block with its arguments; `name_span` is the name alone."""

    name: str
    name_span: Span
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group(Tree):
    """A body in the place of a layer."""

    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Join(Tree):
    """A call with a body, as `concat axis=1 { ... }`: every chain of the body is a branch; `name_span` is the name."""

    name: str
    name_span: Span
    arguments: tuple[Argument, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Shortcut(Tree):
    """`shortcut [if condition] body`: the branch that replaces the identity of a skip."""

    condition: Expression | None
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Skip(Tree):
    """`skip [if condition] body [shortcut ...]`: the result of the body is added to the input of the skip."""

    condition: Expression | None
    body: Body
    shortcut: Shortcut | None


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Tree):
    """`repeat n body`: the body n times in a row, each time with new weights."""

    count: Expression
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class CountingRange(Tree):
    """`first..last` of a `for`, including both ends."""

    first: Expression
    last: Expression


@dataclass(frozen=True, slots=True, eq=False)
class For(Tree):
    """`for a, b in items body`."""

    targets: tuple[Name, ...]
    items: Expression | CountingRange
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class If(Tree):
    """`if condition body [else body | else if ...]`."""

    condition: Expression
    body: Body
    otherwise: Body | If | None


@dataclass(frozen=True, slots=True, eq=False)
class Reuse(Tree):
    """`reuse label`: the labelled layer or group again, with the same weights."""

    target: Reference


Item: TypeAlias = Call | Group | Join | Skip | Repeat | For | If | Reuse | Reference


@dataclass(frozen=True, slots=True, eq=False)
class Element(Tree):
    """`[label:] item`."""

    label: Label | None
    item: Item


# ------------------------------------------------------------------------------------------------ statements


@dataclass(frozen=True, slots=True, eq=False)
class Output(Tree):
    """`output name`: the current tensor is an output of the net, and the chain continues from it."""

    name: str
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Tree):
    """`a -> b -> output c`."""

    links: tuple[Element | Output, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Let(Tree):
    """`let x = e` or `let a, b = e`, in a body or for a whole file."""

    targets: tuple[Name, ...]
    value: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Default(Tree):
    """`default conv bias=no`: default arguments for the rest of the same file or body."""

    name: str
    name_span: Span
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Input(Tree):
    """`input image: 3xHxW float32 where H % 32 == 0, W % 32 == 0`; `dtype` is None where it is omitted."""

    name: str
    name_span: Span
    shape: Shape
    dtype: Name | None
    constraints: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Tree):
    """`param name: 1x768 = 0.5`: a learned tensor with its initial value; it is read as `@name`."""

    name: str
    name_span: Span
    shape: Shape
    value: Expression | None


@dataclass(frozen=True, slots=True, eq=False)
class Aux(Tree):
    """`aux label: item`: a side branch that is an output of the training graph only; the element has a label."""

    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Expect(Tree):
    """`expect 512x7x7`: a check of the current shape."""

    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Assert(Tree):
    """`assert params == 61706`; its expression may use `params`, `macs` and `layers`."""

    condition: Expression


@dataclass(frozen=True, slots=True, eq=False)
class ClassLabels(Tree):
    """`labels ["plane", "car"]`."""

    names: Expression


@dataclass(frozen=True, slots=True, eq=False)
class TrainItem(Tree):
    """One of the comma-separated items of a `train` entry: `sgd lr=0.01`, `crop 224`, `128`."""

    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainEntry(Tree):
    """`optimizer sgd lr=0.01` or `augment flip, crop 224`."""

    key: str
    key_span: Span
    items: tuple[TrainItem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Train(Tree):
    """`train { ... }`: the recipe, which changes nothing in the compiled graph."""

    entries: tuple[TrainEntry, ...]


Statement: TypeAlias = Chain | Let | Default | Input | Parameter | Aux | Expect | Assert | ClassLabels | Train


# ------------------------------------------------------------------------------------------------ declarations


@dataclass(frozen=True, slots=True, eq=False)
class FormalParameter(Tree):
    """A parameter of a block or net; `default` is None where an argument is required."""

    name: str
    default: Expression | None


@dataclass(frozen=True, slots=True, eq=False)
class Use(Tree):
    """`use "other.net"`, or `use residual`, where `path` is the name of a shipped file."""

    path: str
    path_span: Span
    library: bool


@dataclass(frozen=True, slots=True, eq=False)
class BlockDeclaration(Tree):
    """`block name(params) body`; `net` is true for `net name(params) body`."""

    name: str
    name_span: Span
    parameters: tuple[FormalParameter, ...]
    body: Body
    net: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Variant(Tree):
    """`net name = base(arguments) [{ promises, labels, recipe }]`."""

    name: str
    name_span: Span
    base: str
    base_span: Span
    arguments: tuple[Argument, ...]
    body: Body | None


Declaration: TypeAlias = Use | BlockDeclaration | Variant | Default | Let


@dataclass(frozen=True, slots=True, eq=False)
class Comment(Tree):
    """`# ...` to the end of its line; the span holds the text."""


@dataclass(frozen=True, slots=True, eq=False)
class File(Tree):
    """A whole file: its declarations in order, its comments in order, and its number of tokens."""

    source: Source
    declarations: tuple[Declaration, ...]
    comments: tuple[Comment, ...]
    size: int
