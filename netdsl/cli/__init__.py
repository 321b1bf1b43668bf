"""The command line: `main` is the program; each command has a module, which is imported when the command is called.

Exit codes: 0 success, 1 bad input, 2 wrong usage, 70 an internal error of netdsl, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from netdsl.base import terminal
from netdsl.base.diagnostics import NetdslError, shortened
from netdsl.base.outputs import inputs_kept
from netdsl.base.version import __version__
from netdsl.cli.common import SET, echo_json, show_diagnostics, wants_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOMES = {
    "compile": "compile",
    "check": "check",
    "summary": "summary",
    "train": "train",
    "run": "run",
    "test": "test",
    "plot": "plot",
    "inspect": "inspect",
    "bench": "bench",
    "verify": "verify",
    "weights": "weights",
    "layers": "reference",
    "recipe": "reference",
    "nets": "reference",
    "explain": "reference",
    "doctor": "doctor",
    "completion": "completion",
}
"""The module of each command, in the order of the help."""


COMMANDS_ELSEWHERE = {
    "build": "compile", "export": "compile", "convert": "compile", "lint": "check", "validate": "check",
    "info": "summary", "describe": "summary", "fit": "train", "predict": "run", "infer": "run", "evaluate": "test",
    "eval": "test", "benchmark": "bench", "help": "explain", "list": "nets", "models": "nets",
}  # fmt: skip
"""The names that other tools give to commands."""


class Program(click.Group):
    """The group of all commands; errors in them are turned into a message and an exit code here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, the most used first."""
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in HOMES:
            return None
        command: click.Command = getattr(import_module(f"netdsl.cli.{HOMES[cmd_name]}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names; for a misspelled one, suggest another."""
        if args and args[0] not in HOMES and not args[0].startswith("-"):
            from netdsl.layers.suggestions import suggestion

            remedy = suggestion(args[0], HOMES, COMMANDS_ELSEWHERE) or "`netdsl --help` lists them"
            raise click.UsageError(f"No such command '{args[0]}'; {remedy}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command, which cannot overwrite a file that it reads; with `--format json` errors are JSON, too."""
        try:
            with inputs_kept(), terminal.logs_shown():
                return super().invoke(ctx)
        except NetdslError as error:
            if not wants_json(ctx):
                raise
            echo_json({"diagnostics": [diagnostic.as_json() for diagnostic in error.diagnostics]})
            return _code(error)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program; in standalone mode, exit with its code."""
        run = partial(super().main, args, prog_name, complete_var, False, **extra)
        if not standalone_mode:
            return run()
        gc.disable()  # garbage collection takes a fifth of the time of compiling a large net
        try:
            code = _guarded(run)
        finally:
            gc.freeze()  # and a tenth of the time of a short command at its end
            gc.enable()
        sys.exit(code)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="netdsl %(version)s")
def main() -> None:
    """Neural networks as short text files: exact shapes, exact counts, ONNX in a second.

    A NET is `file.net`, `file.net:name` or the name of a shipped net; `netdsl nets` lists these.
    """


def _guarded(run: Callable[[], object]) -> int:
    """Run a command, turn its exceptions into a message on stderr, and return the exit code."""
    try:
        try:
            with terminal.door():
                code = run()
            terminal.flush()
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - users should not see a traceback
            return _report(error)
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        terminal.close()
        return 1


def _code(error: NetdslError) -> int:
    """Return 1, or 2 if the text of an option has a syntax error."""
    read = (found.span.source.name if found.span else "" for found in error.diagnostics if found.code.startswith("E01"))
    return 2 if SET in read else 1


def _report(error: Exception) -> int:
    """Report an exception on stderr, and return the exit code."""
    match error:
        case NetdslError():
            show_diagnostics(error.diagnostics, error.more)
            return _code(error)
        case click.ClickException():
            terminal.show_wrong_usage(error)
            return error.exit_code
        case click.Abort():
            terminal.say("interrupted", err=True)
            return 130
        case MemoryError():
            terminal.say(shortened(f"error: not enough memory{': ' * bool(str(error))}{error}"), err=True)
            return 1
        case OSError():
            place = f"`{error.filename}`: " if error.filename is not None else ""
            terminal.say(shortened(f"error: {place}{(error.strerror or str(error)).lower()}"), err=True)
            return 1
    from netdsl.base.packages import refused

    broken = refused(error)
    if broken is not None:
        show_diagnostics(broken.diagnostics)
        return 1
    terminal.say_text(
        f"internal error: {type(error).__name__}: {shortened(str(error))}\n"
        "This is a fault of netdsl, not of your input. Please report it to its maintainers with the command,\n"
        "the input, and what the command prints when NETDSL_DEBUG=1 is set.",
        err=True,
    )
    if os.environ.get("NETDSL_DEBUG"):
        sys.excepthook = terminal.show_traceback
        raise error
    return 70
