"""Options and printing that several commands share."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from netdsl.base.diagnostics import further_errors, render
from netdsl.base.naming import is_name
from netdsl.base.terminal import coloured, say, say_json, say_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from netdsl.base.diagnostics import Diagnostic
    from netdsl.weights.comparison import Fit
    from netdsl.weights.loading import CheckpointWeights

SET = "--set"
"""The option whose text is parsed by the grammar of the language, and the name of its source in errors."""

F = TypeVar("F", bound="Callable[..., Any]")

MAX_DIAGNOSTICS_SHOWN = 100
"""The number of diagnostics that are printed."""

MAX_BATCH = 2**31 - 1


def complete_net(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of shipped nets, or else of files."""
    from netdsl.base.resources import shipped

    names = [name for name in shipped() if name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def format_option(command: F) -> F:
    """`--format text|json`."""
    return formats("text", "json")(command)


def formats(*names: str, expose_value: bool = True) -> Callable[[F], F]:
    """`--format` with these formats, of which the first is the default; without `expose_value`, see `wants_json`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        callback=_remember_format,
        expose_value=expose_value,
        help="The format of the result and of errors.",
    )


def set_option(command: F) -> F:
    """`--set name=value`, given to the command as the mapping `arguments`."""
    return click.option(
        "--set",
        "arguments",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_arguments,
        help="A value for a parameter of the net, as the language writes it; if a name is repeated, the last counts.",
    )(command)


def allow_option(command: F) -> F:
    """`--allow CODE`, given to the command as the set `allowed`."""
    return click.option(
        "--allow",
        "allowed",
        multiple=True,
        metavar="CODE",
        callback=_warning_codes,
        help="A warning to suppress (W0101); can be repeated.",
    )(command)


def map_option(command: F) -> F:
    """`--map OLD=NEW`, given to the command as the mapping `renamed`."""
    return click.option(
        "--map",
        "renamed",
        multiple=True,
        metavar="OLD=NEW",
        callback=_renamed,
        help="Rename tensors of the file; a `*` on both sides stands for the same text: 'backbone.*=*'.",
    )(command)


def key_option(command: F) -> F:
    """`--key`, given to the command as `key`."""
    return click.option(
        "--key",
        metavar="KEY.KEY",
        help="The key of the weights in the file: ema.state_dict; a single dot for the outermost.",
    )(command)


def device_option(command: F) -> F:
    """`--device`, with its syntax checked."""
    return click.option(
        "--device",
        default="cpu",
        callback=_device,
        metavar="DEVICE",
        show_default=True,
        help="cpu, cuda, cuda:N, tensorrt or tensorrt:N; never replaced by another one.",
    )(command)


def data_options(command: F) -> F:
    """`--data` and `--split`, which the folder of a run does not need; see `need_data`."""
    data_help = "`digits`, a directory or a file, as for `netdsl train`; the default is the data of MODEL's run."
    split = click.option(
        "--split", type=click.Choice(["test", "val", "train"]),
        help="The samples; by default those that the run held out, or of other data test, or else val.",
    )  # fmt: skip
    data = click.option("--data", help=data_help)
    return data(split(command))


def need_data(models: Iterable[Path], data: str | None) -> None:
    """Require `--data` if no model belongs to a run, whose data would be used."""
    from netdsl.evaluation.runs import run_of

    if data is None and not any(run_of(model) for model in models):
        raise click.UsageError("Missing option '--data': only the model of a run is tested without it.")


def size_option(help_text: str) -> Callable[[F], F]:
    """`--size NAME=NUMBER`, given to the command as the mapping `sizes`."""
    return click.option("--size", "sizes", multiple=True, metavar="NAME=NUMBER", callback=_sizes, help=help_text)


def claim_output(path: Path, content: str, reads: Iterable[Path] = ()) -> None:
    """Check the file of `-o` and note the files to be read, before anything is computed; see `netdsl.base.outputs`.

    The ending of the name selects the format, so it must be one that can hold the content.
    """
    from netdsl.base.outputs import claim, remember, wrong_ending

    if problem := wrong_ending(path, content, exact=True):
        raise click.BadParameter(problem, param_hint="-o")
    remember(reads)
    claim(path, content)


def show_diagnostics(diagnostics: Iterable[Diagnostic], more: int = 0) -> None:
    """Print diagnostics on stderr, an empty line after each; then how many are beyond `MAX_DIAGNOSTICS_SHOWN`.

    Args:
        diagnostics: what to print.
        more: the number of further errors that are known only by number.
    """
    found, colour = list(diagnostics), coloured(sys.stderr)
    for diagnostic in found[:MAX_DIAGNOSTICS_SHOWN]:
        say_text(render(diagnostic, colour=colour) + "\n", err=True, styled=colour)
    if len(found) > MAX_DIAGNOSTICS_SHOWN:
        say_text(f"... and {len(found) - MAX_DIAGNOSTICS_SHOWN:,} more\n", err=True)
    if more:
        say_text(f"... and {further_errors(more)}\n", err=True)


def show_warnings(warnings: Iterable[Diagnostic], allowed: frozenset[str]) -> None:
    """Print the warnings that are not suppressed."""
    show_diagnostics(warning for warning in warnings if warning.code not in allowed)


def show_taken(fit: Fit) -> None:
    """Print on stderr what was taken from a checkpoint, unless all of it was taken unchanged."""
    for note in fit.taken:
        say(f"{fit.checkpoint.path}: {note}", err=True)


def show_loaded(weights: CheckpointWeights, allowed: frozenset[str] = frozenset()) -> None:
    """Say on stderr what was taken out of a checkpoint, and what is suspicious in it."""
    show_taken(weights.fit)
    show_warnings(weights.warnings, allowed)


def echo_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    say_json(value)


def wants_json(ctx: click.Context) -> bool:
    """Whether the command was called with `--format json`."""
    return bool(ctx.meta.get("netdsl.json"))


def _remember_format(ctx: click.Context, param: click.Parameter, form: str) -> str:
    ctx.meta["netdsl.json"] = form == "json"
    return form


def _arguments(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, object]:
    from netdsl.base.source import Source
    from netdsl.elaborate.said import Said

    pairs: dict[str, object] = {}
    for text in given:
        name, equals, _ = text.partition("=")
        if not equals or not is_name(name.removeprefix("train.")):
            raise click.BadParameter(f"expected NAME=VALUE, got `{text}`")
        pairs[name] = Said.of(Source(SET, text), "train." * name.startswith("train."))
    return pairs


def _sizes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for text in given:
        name, _, number = text.partition("=")
        if not name or re.fullmatch(r"[1-9][0-9]{0,8}", number) is None:
            raise click.BadParameter(f"expected NAME=NUMBER, got `{text}`")
        sizes[name] = int(number)
    return sizes


def _renamed(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        old, equals, new = text.partition("=")
        if not equals or not old or not new or old.count("*") != new.count("*"):
            raise click.BadParameter(f"expected OLD=NEW with the same number of `*` on both sides, got `{text}`")
        pairs[old] = new
    return pairs


def _warning_codes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    from netdsl.reference.codes import CODES

    codes = frozenset(code.upper() for code in given)
    for code in sorted(codes):
        if code not in CODES or not code.startswith("W"):
            known = ", ".join(known for known in CODES if known.startswith("W"))
            raise click.BadParameter(f"expected a warning, one of {known}, got `{code}`")
    return codes


def _device(ctx: click.Context, param: click.Parameter, text: str) -> str:
    from netdsl.base.diagnostics import NetdslError
    from netdsl.runtime import Device

    try:
        Device.parse(text)
    except NetdslError as error:
        raise click.BadParameter(error.diagnostics[0].message) from error
    return text
