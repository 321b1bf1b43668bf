"""`netdsl summary`."""

from __future__ import annotations

import click

from netdsl.base.terminal import say_text
from netdsl.cli.common import allow_option, complete_net, echo_json, format_option, set_option, show_warnings


@click.command()
@click.argument("net", shell_complete=complete_net)
@click.option("--depth", type=click.IntRange(min=1), help="The levels of blocks to open; all by default.")
@click.option("--neurons", is_flag=True, help="Add the columns of neurons and connections.")
@set_option
@allow_option
@format_option
def summary(
    net: str, depth: int | None, neurons: bool, arguments: dict[str, object], allowed: frozenset[str], form: str
) -> None:
    """Show shapes, parameters and MACs of NET, layer by layer."""
    from netdsl.analysis.summary import render
    from netdsl.api import Network
    from netdsl.compiler import check

    network = Network(check(net, arguments))
    show_warnings(network.warnings, allowed)
    made = network.summary()
    if form == "json":
        echo_json(made.as_json(depth))
    else:
        say_text(render(made, depth, neurons=neurons))
