"""`netdsl check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netdsl.base.diagnostics import as_annotation
from netdsl.base.terminal import say, say_text
from netdsl.cli.common import allow_option, complete_net, echo_json, formats, set_option, show_diagnostics

if TYPE_CHECKING:
    from netdsl.compiler import FileReport


@click.command()
@click.argument("nets", nargs=-1, required=True, shell_complete=complete_net)
@set_option
@allow_option
@formats("text", "json", "github")
def check(nets: tuple[str, ...], arguments: dict[str, object], allowed: frozenset[str], form: str) -> int:
    """Check nets: names, arguments, shapes, promises.

    NETS are nets, files (all nets of each) and directories (all files of each). Every error is shown, and the exit
    code is 1 if there is any. `--format github` prints lines that GitHub Actions shows beside the code.
    """
    reports = [report for net in nets for report in _reports(net, arguments)]
    found = [item for report in reports for item in report.diagnostics if item.code not in allowed]
    more = sum(report.more for report in reports)
    shown = sum(item.severity == "error" for item in found)
    errors = shown + more
    checked = sum(report.nets for report in reports)
    if form == "json":
        echo_json({"nets": checked, "errors": errors, "more": more, "diagnostics": [item.as_json() for item in found]})
        return 1 if errors else 0
    if form == "github":
        for item in found:
            say_text(as_annotation(item))
    else:
        show_diagnostics(found, more)
    say(f"{_count(checked, 'net')}: {_count(errors, 'error')}, {_count(len(found) - shown, 'warning')}")
    return 1 if errors else 0


def _reports(net: str, arguments: dict[str, object]) -> list[FileReport]:
    from netdsl.base.diagnostics import NetdslError
    from netdsl.compiler import FileReport, check_files, check_spec
    from netdsl.elaborate.specs import net_files

    try:
        if Path(net).is_dir():
            return check_files(net_files(Path(net)))
        return [check_spec(net, arguments)]
    except NetdslError as error:
        return [FileReport((), 0, error.diagnostics, error.more)]


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
