"""`netdsl doctor`."""

from __future__ import annotations

import click

from netdsl.cli.common import echo_json, format_option


@click.command()
@format_option
def doctor(form: str) -> int:
    """Show what is installed, and which devices work.

    All packages are imported. The exit code is 1 if one is broken, or if one is missing that netdsl cannot do without.
    """
    from netdsl.doctor import examine

    found = examine()
    if form == "json":
        echo_json([finding.as_json() for finding in found])
    else:
        width = max(len(finding.name) for finding in found)
        colours = {"ok": "green", "missing": "red", "absent": "yellow", "broken": "red"}
        for finding in found:
            state = click.style(f"{finding.state:<7}", fg=colours[finding.state])
            click.echo(f"{state}  {finding.name:<{width}}  {finding.detail}")
    return 1 if any(finding.state in ("missing", "broken") for finding in found) else 0
