"""`netdsl layers`, `netdsl recipe`, `netdsl nets` and `netdsl explain`."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from netdsl.base.terminal import say, say_text
from netdsl.cli.common import echo_json, format_option

if TYPE_CHECKING:
    from netdsl.reference.layers import Entry


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names that the command describes."""
    from netdsl.reference.layers import REFERENCES

    entries = REFERENCES[str(ctx.info_name)]()
    return [CompletionItem(entry.name) for entry in entries if entry.name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_complete)
@format_option
def layers(name: str | None, form: str) -> None:
    """List the layers of the language, or describe one."""
    _show("layers", name, form)


@click.command()
@click.argument("word", required=False, shell_complete=_complete)
@format_option
def recipe(word: str | None, form: str) -> None:
    """List the entries and words of recipes, or describe one."""
    _show("recipe", word, form)


def _show(command: str, name: str | None, form: str) -> None:
    from netdsl.reference.layers import REFERENCES, find

    if name is not None:
        found = find(command, name)
        if form == "json":
            echo_json(found.as_json())
        else:
            say_text(_described(found))
        return
    known = REFERENCES[command]()
    if form == "json":
        echo_json([found.as_json() for found in known])
        return
    width = max(len(found.name) for found in known)
    for family, members in groupby(known, lambda found: found.family):
        say(family)
        for found in members:
            say(f"  {found.name:<{width}}  {found.first}")
        say("")


def _described(found: Entry) -> str:
    from netdsl.base.show import show

    lines = [found.call, "", found.text]
    if found.fields:
        lines.append("")
        width = max(len(field.name) for field in found.fields)
        for field in found.fields:
            default = "required" if field.required else f"default {show(field.default)}"
            lines.append(f"  {field.name:<{width}}  {field.kind.name}; {default}")
    return "\n".join(lines)


@click.command()
@format_option
def nets(form: str) -> None:
    """List the shipped nets with papers, parameters and MACs."""
    from netdsl.base.table import Table, short
    from netdsl.reference.zoo import entries

    known = entries()
    if form == "json":
        echo_json([entry.as_json() for entry in known])
        return
    rows = [[e.name, ", ".join(map(str, e.inputs)), short(e.params), short(e.macs)] for e in known]
    heading, rule, *lines = Table(["net", "input", ">parameters", ">MACs"], rows).text().splitlines()
    say_text(f"{heading}\n{rule}")
    for head, members in groupby(zip(known, lines, strict=True), lambda member: (member[0].title, *member[0].papers)):
        say_text("\n".join(["", *head, *(line for _, line in members)]))


def _complete_code(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the codes of diagnostics."""
    from netdsl.reference.codes import CODES

    return [CompletionItem(code, help=entry.title) for code, entry in CODES.items()
            if code.startswith(incomplete.upper())]  # fmt: skip


@click.command()
@click.argument("code", required=False, shell_complete=_complete_code)
@format_option
def explain(code: str | None, form: str) -> None:
    """Explain a diagnostic such as E0402, or list all."""
    from netdsl.reference.codes import CODES

    if code is None and form == "json":
        echo_json([{"code": known, "title": entry.title} for known, entry in CODES.items()])
        return
    if code is None:
        say_text("\n".join(f"{known}  {entry.title}" for known, entry in CODES.items()))
        return
    code = f"E{code:0>4}" if code.isdigit() else code
    found = CODES.get(code.upper())
    if found is None:
        near = " or ".join(f"`{known}`" for known in get_close_matches(code.upper(), CODES, 2))
        raise click.BadParameter(f"there is no diagnostic `{code}`" + (f"; did you mean {near}?" if near else ""))
    if form == "json":
        echo_json({"code": code.upper(), "title": found.title, "explanation": found.explanation,
                   "example": found.example})  # fmt: skip
        return
    say_text(f"{code.upper()}: {found.title}\n\n{fill(found.explanation, 88, break_on_hyphens=False)}")
    if found.example:
        say_text("\nFor example:\n\n" + "\n".join(f"    {line}".rstrip() for line in found.example.splitlines()))
