"""Reading of a source file, and parsing of its text to a syntax tree."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from lark.exceptions import UnexpectedToken

from netdsl.base.diagnostics import MAX_ERRORS, MAX_ERRORS_COUNTED, NetdslError, fail
from netdsl.base.files import open_file
from netdsl.base.interpreter import without_garbage_collection
from netdsl.base.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.brackets import check_brackets
from netdsl.syntax.grammar import grammar
from netdsl.syntax.mistakes import explain
from netdsl.syntax.mistakes.spot import Spot
from netdsl.syntax.scanner import CLOSERS, OPENERS, Scanner, Token

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.base.diagnostics import Diagnostic

MAX_FILE_BYTES = 2_000_000
"""The largest number of bytes of a source file, and of characters of a text."""
MAX_TOKENS = 150_000
"""The largest number of tokens of a program, in all its files; some 20,000 lines have that many."""

_OTHERS = {
    ".onnx": "an ONNX model", ".pt": "a PyTorch checkpoint", ".pth": "a PyTorch checkpoint",
    ".ckpt": "a PyTorch checkpoint", ".safetensors": "a file of weights", ".npz": "a file of arrays",
    ".npy": "an array", ".py": "a Python program",
}  # fmt: skip
"""What files of other kinds are, by their suffix."""
_RESTARTS = ("statement", "entry", "declaration")
"""The rules after which the parser can continue when one of them contains an error."""


def read_source(path: Path, name: str | None = None) -> Source:
    """Read a file; errors show its text under `name` (by default, its path).

    Raises:
        NetdslError: the file cannot be read (E0901), is larger than `MAX_FILE_BYTES` (E0106) or is not UTF-8 (E0105).
    """
    name = str(path) if name is None else name
    if path.suffix in _OTHERS and path.is_file():
        remedy = "`netdsl inspect` shows a model at work, `netdsl test` tests it; `check` and `summary` take nets"
        raise fail("E0105", f"expected a net, got {_OTHERS[path.suffix]}, `{name}`", help=remedy)
    with open_file(path, name) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(f"`{name}` is larger than {MAX_FILE_BYTES / 1e6:g} MB")
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        source = Source(name, data.decode("utf-8-sig", errors="replace"))
        place = len(error.object[: error.start].decode())
        raise fail(
            "E0105",
            f"byte {error.object[error.start]:#04x} is not UTF-8",
            Span(source, place, place + 1),
            help="save the file with the encoding UTF-8",
        ) from None


def parse(source: Source, others: int = 0) -> tree.File:
    """Parse a text that belongs to a program with `others` tokens in other files.

    Raises:
        NetdslError: the text is not a program; it holds all separate syntax errors (E01xx).
    """
    if len(source.text) > MAX_FILE_BYTES:
        raise _too_large(f"`{source.name}` is larger than {MAX_FILE_BYTES / 1e6:g} MB")
    with without_garbage_collection():
        return _parse(source, others)


def _parse(source: Source, others: int) -> tree.File:
    scanner = _scanner()
    tokens, comments = scanner.scan(source, MAX_TOKENS - others)
    whole = bool(tokens) and tokens[-1].type == "$END"
    if whole and len(tokens) == 1:
        raise fail("E0108", "the file declares nothing", tokens[0].span, help="write a net: `net name { ... }`")
    nesting = check_brackets(tokens)
    if not whole and (nesting is None or nesting.code != "E0107"):
        texts = f"`{source.name}` and the files before it have" if others else f"`{source.name}` has"
        message = f"{texts} more than {MAX_TOKENS:,} words and marks"
        raise _too_large(message, tokens[-1].span if tokens else None)
    if nesting is not None:
        # A string without its end may have swallowed the bracket that is missing.
        places = islice((at for at, token in enumerate(tokens) if token.type == "MALFORMED"), MAX_ERRORS)
        malformed = [explain(Spot(tokens, at, frozenset(), scanner.words)) for at in places]
        raise NetdslError(malformed or nesting)
    declarations = _Parse(tokens, scanner).run()
    span, size = Span(source, tokens[0].start, tokens[-2].end), len(tokens) + len(comments)
    return tree.File(span, source, declarations, comments, size)


def never_labels() -> frozenset[str]:
    """The words of the language that cannot be labels."""
    return _scanner().never_labels


def parse_part(source: Source, rule: str, start: int, *before: Token) -> Any:
    """Parse a text by one rule of the language.

    Args:
        source: the text.
        rule: one of `netdsl.syntax.grammar.STARTS`.
        start: the offset where the part begins; it extends to the end of the text.
        before: tokens to put before those of the text.

    Raises:
        NetdslError: the text does not match the rule; its first syntax error (E01xx).
    """
    scanner = _scanner()
    scanned, _ = scanner.scan(source, MAX_TOKENS, start)
    tokens = [*before, *scanned]
    nesting = check_brackets(tokens)
    if len(source.text) > MAX_FILE_BYTES or tokens[-1].type != "$END":
        raise _too_large(f"`{source.name}` is given more than {MAX_TOKENS:,} words and marks")
    if nesting is not None:
        raise NetdslError(nesting)
    parser: Any = grammar().parse_interactive(start=rule)
    result: Any = None
    for at, token in enumerate(tokens):
        try:
            result = parser.feed_token(token)
        except UnexpectedToken:
            raise NetdslError(explain(Spot(tokens, at, parser.accepts(), scanner.words))) from None
    return result


@cache
def _scanner() -> Scanner:
    return Scanner(grammar().terminals)


def _too_large(message: str, span: Span | None = None) -> NetdslError:
    return fail("E0106", message, span, help="say what repeats with `repeat`, `for` and `block`")


def _cut(text: str) -> str:
    """Shorten a text for a message."""
    return text if len(text) <= 300 else f"{text[:297]}..."


class _Parse:
    """One run of the parser over the tokens of a text."""

    def __init__(self, tokens: list[Token], scanner: Scanner) -> None:
        self.tokens, self.scanner = tokens, scanner
        self.parser: Any = grammar().parse_interactive(start="file")
        self.state = self.parser.parser_state
        self.errors: list[Diagnostic] = []
        self.seen = self.more = 0
        self.line: int | None = None  # the line of the last error

    def run(self) -> tuple[tree.Declaration, ...]:
        """Parse the declarations; all errors are raised together."""
        at = 0
        result: Any = None
        while at < len(self.tokens) and self.seen < MAX_ERRORS_COUNTED:
            states, values = self.state.state_stack.copy(), self.state.value_stack.copy()
            try:
                result = self.parser.feed_token(self.tokens[at])
                at += 1
            except (UnexpectedToken, NetdslError) as error:
                # Rules may have been reduced before the error appeared; from here on, those reductions do not count.
                self.state.state_stack[:], self.state.value_stack[:] = states, values
                if isinstance(error, NetdslError):
                    self.report(error.diagnostics[0])
                else:
                    self.report(explain(Spot(self.tokens, at, self.parser.accepts(), self.scanner.words)))
                at = self.recover(at)
        if self.errors:
            raise NetdslError(self.errors, self.more)
        return cast("tuple[tree.Declaration, ...]", result)

    def report(self, error: Diagnostic) -> None:
        """Record an error, unless another one precedes it in the same line: it is likely to be a consequence."""
        self.seen += 1
        line = error.span.source.position(error.span.start)[0] if error.span else None
        if line != self.line:
            self.line = line
            if len(self.errors) < MAX_ERRORS:
                self.errors.append(replace(error, message=_cut(error.message), help=error.help and _cut(error.help)))
            else:
                self.more += 1

    def unindented(self, at: int) -> int:
        """Return the index of the end of the lines indented below `block unit(width):`; `at` for other lines."""
        text, end = self.tokens[at].source.text, self.end_of_line(at)
        if self.tokens[end - 1].type != "COLON":
            return at
        while self.tokens[end].type != "$END" and text[self.tokens[end + 1].start - 1] in " \t":
            end = self.end_of_line(end + 1)
        return end

    def end_of_line(self, at: int) -> int:
        """Return the index of the end of a line, or of the text."""
        while self.tokens[at].type not in ("_END", "$END"):
            at += 1
        return at

    def recover(self, at: int) -> int:
        """Skip the statement around the token `at`; the index of the token that follows it."""
        table = self.state.parse_conf.parse_table.states
        states, values = self.state.state_stack, self.state.value_stack
        inside = 0  # brackets opened since the statement began
        while inside < 0 or not any(rule in table[states[-1]] for rule in _RESTARTS):
            states.pop()
            value = values.pop()
            if isinstance(value, Token):
                inside += (value.type in OPENERS) - (value.type in CLOSERS)
        rule = next(rule for rule in _RESTARTS if rule in table[states[-1]])
        if rule == "declaration":
            at = self.unindented(at)
        states.append(table[states[-1]][rule][1])
        values.append(None)
        while True:
            kind = self.tokens[at].type
            if kind == "$END" or (inside == 0 and (kind == "_END" or kind in CLOSERS)):
                return at
            inside += (kind in OPENERS) - (kind in CLOSERS)
            at += 1
