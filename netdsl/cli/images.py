"""The options with which commands prepare images."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.common import F, size_option

if TYPE_CHECKING:
    from collections.abc import Callable


def image_options(command: F) -> F:
    """`--mean`, `--std`, `--scale` and `--size`, given to the command as the `Preparation` `preparation`."""

    @wraps(command)
    def prepared(
        *, mean: tuple[float, ...], std: tuple[float, ...], scale: float | None, sizes: dict[str, int], **others: Any
    ) -> Any:
        from netdsl.runtime.preparation import Preparation

        return command(preparation=Preparation(scale, mean, std, sizes), **others)

    options: list[Callable[[Any], Any]] = [
        click.option(
            "--mean", default="0", callback=_numbers, help="Subtracted from scaled pixels.", show_default=True
        ),
        click.option("--std", default="1", callback=_numbers, help="Divides the pixels after that.", show_default=True),
        click.option(
            "--scale", type=float, help="Multiplies pixels from 0 to 255; the default is the model's, or 1/255."
        ),
        size_option("Scale images to this size if the model leaves it open; can be repeated."),
    ]
    made: Any = prepared
    for option in reversed(options):
        made = option(made)
    return made  # type: ignore[no-any-return]  # click's decorators return what they take


def _numbers(ctx: click.Context, param: click.Parameter, text: str) -> tuple[float, ...]:
    """Parse one number, or several separated by commas."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise click.BadParameter("expected one number, or one for each channel: `0.485,0.456,0.406`") from None
