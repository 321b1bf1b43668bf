"""Values and recipe entries given outside a program: by `--set`, or as strings in Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import fail
from netdsl.base.naming import MAX_NAME_LENGTH
from netdsl.base.source import Source, Span
from netdsl.elaborate.environment import Environment
from netdsl.elaborate.errors import Budget, Errors
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.module import Module
from netdsl.ir.graph import Scope
from netdsl.syntax import tree
from netdsl.syntax.parser import parse_part
from netdsl.syntax.scanner import Token

if TYPE_CHECKING:
    from netdsl.elaborate.values import Value

_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")


@dataclass(frozen=True)
class Said:
    """`name=text`, where the text is parsed by the grammar of the language.

    Attributes:
        key: the name, in the text that errors show.
        start: the offset of the value in that text.
    """

    key: Span
    start: int

    @classmethod
    def of(cls, source: Source, prefix: str = "") -> Said:
        """Parse `name=text`; errors show it under the name of the source.

        Args:
            source: the whole text, with an equals sign.
            prefix: a prefix of the name that is not part of it.
        """
        end = source.text.index("=")
        return cls(Span(source, len(prefix), end), end + 1)

    @property
    def span(self) -> Span:
        """The source location of the value."""
        source = self.key.source
        return Span(source, self.start, max(len(source.text), self.start))

    @property
    def word(self) -> str | None:
        """The value if it is a single word, even a word of the language."""
        found = _WORD.fullmatch(self.span.text)
        word = found[1] if found and len(found[1]) <= MAX_NAME_LENGTH else None
        return None if word in ("yes", "no") else word

    def value(self, module: Module | None = None) -> Value:
        """Evaluate the expression.

        A word is a block or a layer visible to the program, a `let` of its file, or else a string.

        Raises:
            NetdslError: the text is not an expression (E01xx), or has no value here.
        """
        evaluator = _Outside(module or self._empty(), (module or self._empty()).environment, _spend())
        if (word := self.word) is not None:
            return evaluator.meaning(word)
        self._need_text()
        return evaluator.evaluate(parse_part(self.key.source, "expression", self.start))

    def entry(self) -> tree.TrainEntry:
        """Parse the text as an entry of a recipe, with the name as its key.

        Raises:
            NetdslError: the text is not exactly one entry (E01xx).
        """
        self._need_text()
        key = Token("NAME", self.key.source, self.key.start, self.key.end)
        found: tree.TrainEntry = parse_part(self.key.source, "entry", self.start, key)
        return found

    def evaluator(self) -> Evaluator:
        """The evaluator of an entry's arguments, which sees no program."""
        return Evaluator(self._empty(), Environment({}), _spend())

    def _need_text(self) -> None:
        if not self.span.text.strip():
            raise fail("E0101", f"`{self.key.text}` has no value", self.key, help="write one after the `=`")

    def _empty(self) -> Module:
        return Module(tree.File(self.key, self.key.source, (), (), 0))


class _Outside(Evaluator):
    """An evaluator that treats an undefined word as a string."""

    def meaning(self, word: str) -> Value:
        found = self.find(word)
        return word if found is None else found

    def _name(self, e: tree.Name) -> Value:
        return self.meaning(e.id)


def _spend() -> Any:
    return partial(Errors(Budget("the value is", "write a smaller one")).spend, Scope(""))
