"""`netdsl doctor`."""

from __future__ import annotations

import sys

import click

from netdsl.base.terminal import coloured, say
from netdsl.cli.common import echo_json, format_option


@click.command()
@format_option
def doctor(form: str) -> int:
    """Show what is installed, and which devices work.

    All packages are imported. The exit code is 1 if a package is broken, or if a required one is missing.
    """
    from netdsl.runtime.doctor import examine

    findings = examine()
    if form == "json":
        echo_json([finding.as_json() for finding in findings])
    else:
        width = max(len(finding.name) for finding in findings)
        colours = {"ok": "green", "missing": "red", "absent": "yellow", "broken": "red"}
        styled = coloured(sys.stdout)
        for finding in findings:
            state = f"{finding.state:<7}"
            state = click.style(state, fg=colours[finding.state]) if styled else state
            say(f"{state}  {finding.name:<{width}}  {finding.detail}", styled=styled)
    return 1 if any(finding.state in ("missing", "broken") for finding in findings) else 0
