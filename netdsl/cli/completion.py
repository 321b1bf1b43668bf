"""`netdsl completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from netdsl.base.terminal import say_text


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes netdsl's commands.

    For bash, put `eval "$(netdsl completion bash)"` into ~/.bashrc.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click supports all three
    say_text(kind(ctx.find_root().command, {}, "netdsl", "_NETDSL_COMPLETE").source())
