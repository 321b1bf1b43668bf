"""A program: a file and the files it uses, with their blocks, nets and `let` names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import MAX_ERRORS, Diagnostic, NetdslError, fail
from netdsl.base.interpreter import deep_stack
from netdsl.base.resources import library
from netdsl.elaborate.control import unpacked
from netdsl.elaborate.errors import MAX_STEPS
from netdsl.elaborate.expressions import Evaluator
from netdsl.elaborate.foreign import explained
from netdsl.elaborate.module import BlockDefinition, LetDefinition, Module, VariantDefinition
from netdsl.elaborate.values import UNKNOWN
from netdsl.layers.base import LAYERS
from netdsl.layers.suggestions import listed, suggestion
from netdsl.syntax import tree
from netdsl.syntax.parser import MAX_FILE_BYTES, parse, read_source

if TYPE_CHECKING:
    from netdsl.base.source import Source, Span
    from netdsl.elaborate.module import NetDefinition

MAX_USES = 100
"""The largest number of `use` in a program, in all its files."""


def load_program(source: Source, path: Path | None) -> Module:
    """Parse a source and everything that it uses.

    Args:
        source: the text.
        path: its file, relative to which `use` is resolved; None resolves in the working directory.

    Raises:
        NetdslError: a file has a syntax error, is missing or lies outside the project, files use each other in a cycle,
            or a name is declared twice.
    """
    home = (path.parent if path is not None else Path.cwd()).resolve()
    loader = _Loader(_project_root(home))
    return loader.load(source, home, path.resolve() if path is not None else None, ())


def _project_root(directory: Path) -> Path:
    """The nearest parent directory that is a project (a repository or a Python package), else the directory itself."""
    for candidate in (directory, *directory.parents):
        if any((candidate / mark).exists() for mark in (".git", "pyproject.toml", "netdsl.toml")):
            return candidate
    return directory


@dataclass
class _Loader:
    root: Path
    done: dict[Path, Module] = field(default_factory=dict)
    files: int = 1
    characters: int = 0
    tokens: int = 0
    steps: int = MAX_STEPS

    def load(self, source: Source, home: Path, path: Path | None, open_files: tuple[Path, ...]) -> Module:
        try:
            module = Module(parse(source, self.tokens))
        except NetdslError as error:
            raise explained(error, source) from None
        self.characters += len(source.text)
        self.tokens += module.file.size
        errors: list[Diagnostic] = []
        for declaration in module.file.declarations:
            if len(errors) >= MAX_ERRORS or self.steps < 0:
                break
            try:
                if isinstance(declaration, tree.Use):
                    used = self._use(declaration, home, (*open_files, path) if path else open_files)
                    for name, definition in (*used.blocks.items(), *used.nets.items(), *used.lets.items()):
                        _declare(module, name, definition, declaration.path_span)
                elif isinstance(declaration, tree.Default):
                    module.defaults.append(declaration)
                elif isinstance(declaration, tree.Let):
                    self._let(module, declaration)
                elif isinstance(declaration, tree.Variant):
                    _declare(module, declaration.name, VariantDefinition(declaration, module), declaration.name_span)
                    module.own_nets.append(declaration.name)
                else:
                    block = BlockDefinition(declaration, module, len(module.defaults))
                    _declare(module, declaration.name, block, declaration.name_span)
                    if declaration.net:
                        module.own_nets.append(declaration.name)
            except NetdslError as error:
                errors += error.diagnostics
        if errors:
            raise NetdslError(errors)
        return module

    def _let(self, module: Module, let: tree.Let) -> None:
        try:
            with deep_stack():
                value = Evaluator(module, module.environment, self._spend).evaluate(let.value)
            values = unpacked(let.targets, value, let.value.span)
        except NetdslError:
            module.environment.values.update((target.id, UNKNOWN) for target in let.targets)
            raise
        for target in let.targets:
            if target.id != "_":
                _declare(module, target.id, LetDefinition(target, values[target.id]), target.span)

    def _spend(self, steps: int, span: Span) -> None:
        self.steps -= steps
        if self.steps < 0:
            message = "the `let` of this program take more work than the largest net"
            raise fail("E0701", message, span, help="is a list longer than it was meant to be?")

    def _use(self, use: tree.Use, home: Path, open_files: tuple[Path, ...]) -> Module:
        self.files += 1
        if self.files > MAX_USES:
            message = f"a program is made of at most {MAX_USES} files, and this is one more"
            raise fail("E0106", message, use.path_span, help="put what belongs together into one file")
        target = _in_library(use, home) if use.library else self._in_project(use, home)
        if target in open_files:
            cycle = " -> ".join(f.name for f in (*open_files[open_files.index(target) :], target))
            raise fail(
                "E0209",
                f"files use each other in a cycle: {cycle}",
                use.path_span,
                help="move what they share into a file that uses neither",
            )
        if target not in self.done:
            source = read_source(target, _shown(target))
            if self.characters + len(source.text) > MAX_FILE_BYTES:
                message = f"with this file the program is larger than {MAX_FILE_BYTES / 1e6:g} MB"
                raise fail("E0106", message, use.path_span, help="use the files that are needed only")
            self.done[target] = self.load(source, target.parent, target, open_files)
        return self.done[target]

    def _in_project(self, use: tree.Use, home: Path) -> Path:
        """The file that a path means."""
        try:
            target = (home / use.path).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a name that no file can have
            reason = str(error.strerror if isinstance(error, OSError) else error).lower()
            raise fail("E0208", f"`{use.path}` is no path: {reason}", use.path_span) from None
        if not target.is_relative_to(self.root):
            raise fail(
                "E0210",
                f"`{use.path}` lies outside the project",
                use.path_span,
                help="copy the file into the project; its root is the nearest directory with a .git, "
                "pyproject.toml or netdsl.toml",
            )
        if not target.is_file():
            raise fail(
                "E0208",
                f"there is no file `{use.path}` beside this one",
                use.path_span,
                help=suggestion(target.name, (file.name for file in target.parent.glob("*.net")))
                or (f"for the shipped blocks, write `use {use.path}`" if use.path in library() else None)
                or "a path is relative to the file it stands in",
            )
        return target


def _in_library(use: tree.Use, home: Path) -> Path:
    """The shipped file with a name."""
    files = library()
    if use.path in files:
        return files[use.path].resolve()
    beside = f'for the file beside this one, write `use "{use.path}.net"`'
    raise fail(
        "E0208",
        f"no shipped file of blocks is called `{use.path}`",
        use.path_span,
        help=beside
        if (home / f"{use.path}.net").is_file()
        else suggestion(use.path, files) or f"there are {listed(files)}",
    )


def _shown(path: Path) -> str:
    """A path as messages show it: relative to the working directory where it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _declare(module: Module, name: str, definition: NetDefinition | LetDefinition, span: Span) -> None:
    """Declare a name; the same definition may arrive twice, but two definitions of a name may not."""
    if name in LAYERS:
        raise fail("E0205", f"`{name}` is the name of a layer", span, help="choose another name")
    known = module.blocks.get(name) or module.nets.get(name) or module.lets.get(name)
    if known is not None and known is not definition:
        raise fail(
            "E0205",
            f"`{name}` is declared twice",
            span,
            notes=(f"it stands at {_place(known)} and at {_place(definition)}",),
            help="rename one of the two",
        )
    if isinstance(definition, LetDefinition):
        module.lets[name] = definition
        module.environment.values[name] = definition.value
    elif isinstance(definition, VariantDefinition) or definition.declaration.net:
        module.nets[name] = definition
    else:
        module.blocks[name] = definition


def _place(definition: NetDefinition | LetDefinition) -> str:
    if isinstance(definition, LetDefinition):
        return definition.target.span.place
    return definition.declaration.name_span.place
