"""The structure in which a box is written: its items within loops and conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from netdsl.backends.torch_source.boxes import Box
from netdsl.backends.torch_source.forms import Form
from netdsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netdsl.backends.torch_source.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A loop; each turn holds its body and the steps within it."""

    trace: Trace
    turns: list[tuple[Trace, list[Step]]]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An `if`; `taken` is the chosen body, or None, and `steps` are those within it."""

    trace: Trace
    taken: Trace | None
    steps: list[Step]

    def alternatives(self) -> list[tuple[tree.Expression | None, tree.Body]]:
        """Return the bodies with their conditions, in order; an `else` has the condition None."""
        choices: list[tuple[tree.Expression | None, tree.Body]] = []
        here: tree.Tree | None = self.trace.tree
        while isinstance(here, tree.If):
            choices.append((here.condition, here.body))
            here = here.otherwise
        if isinstance(here, tree.Body):
            choices.append((None, here))
        return choices

    def number(self) -> int:
        """Return the index of the alternative that was taken; the number of alternatives if none was."""
        bodies = [body for _, body in self.alternatives()]
        return bodies.index(self.taken.tree) if self.taken is not None else len(bodies)  # type: ignore[arg-type]


Step: TypeAlias = Form | Box | Loop | Choice


def steps_of(box: Box, items: Mapping[Trace, Form | Box]) -> list[Step]:
    """Return the steps of a box; `items` maps traces to what they created."""
    if isinstance(box.trace.tree, tree.Repeat | tree.For):
        turns = [(part, [items[part]] if part in items else []) for part in box.trace.parts]
        return [Loop(box.trace, [(turn, [*steps]) for turn, steps in turns])]
    return list(_steps(box.trace, box, items))


def _steps(trace: Trace, box: Box, items: Mapping[Trace, Form | Box]) -> Iterator[Step]:
    for part in trace.parts:
        item = items.get(part)
        if item is not None and item in box.items:
            yield item
        elif isinstance(part.tree, tree.Repeat | tree.For):
            yield Loop(part, [(turn, list(_steps(turn, box, items))) for turn in part.parts])
        elif isinstance(part.tree, tree.If):
            taken = part.parts[0] if part.parts else None
            yield Choice(part, taken, list(_steps(taken, box, items)) if taken is not None else [])
        elif not isinstance(part.tree, tree.Call):
            yield from _steps(part, box, items)


def flattened(steps: list[Step]) -> Iterator[Form | Box]:
    """Yield the items within steps, in order."""
    for step in steps:
        if isinstance(step, Loop):
            for _, turn in step.turns:
                yield from flattened(turn)
        elif isinstance(step, Choice):
            yield from flattened(step.steps)
        else:
            yield step
