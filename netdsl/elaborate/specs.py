"""Names of nets on a command line: a file, a file and a net in it, or a shipped net."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.base.diagnostics import fail
from netdsl.base.files import is_standard_input
from netdsl.base.resources import shipped
from netdsl.layers.suggestions import listed, suggestion

if TYPE_CHECKING:
    from netdsl.elaborate.module import Module


def locate(spec: str) -> tuple[Path, str | None]:
    """Resolve a spec to a file and the name of a net; the name is None where the spec gives none.

    Args:
        spec: `file.net`, `file.net:name`, or the name of a shipped net (`resnet50`); `-` is standard input.

    Raises:
        NetdslError: there is no such file or shipped net (E0212).
    """
    file, separator, name = spec.rpartition(".net:")
    if separator:
        return Path(f"{file}.net"), name
    file, _, name = spec.partition(":")
    if is_standard_input(file):
        return Path(file), name or None
    if spec.endswith(".net") or "/" in spec or Path(spec).is_file():
        return Path(spec), None
    nets = shipped()
    if spec in nets:
        return nets[spec], spec
    raise fail(
        "E0212",
        f"there is no file and no shipped net `{spec}`",
        help=suggestion(spec, nets) or "`netdsl nets` lists the shipped ones; a file ends in `.net`",
    )


def chosen(module: Module, name: str | None) -> str:
    """The net called `name`, or the only net of a program.

    Raises:
        NetdslError: it has no such net (E0206), or several and no name is given (E0207).
    """
    file = module.file.source.name
    if name is not None:
        if name in module.nets:
            return name
        raise fail(
            "E0206", f"`{file}` has no net `{name}`", help=suggestion(name, module.nets) or _listed(module.own_nets)
        )
    if len(module.own_nets) == 1:
        return module.own_nets[0]
    if not module.own_nets:
        raise fail(
            "E0206",
            f"`{file}` declares no net",
            module.file.declarations[0].span,
            help="add `net name { ... }`, or compile the file that uses this one",
        )
    raise fail(
        "E0207",
        f"`{file}` has {len(module.own_nets)} nets, and one must be named",
        help=f"write `{file}:{module.own_nets[0]}`; {_listed(module.own_nets)}",
    )


def net_files(directory: Path) -> list[Path]:
    """All `.net` files in a directory and its subdirectories, except hidden ones.

    Raises:
        NetdslError: there are none (E0212).
    """
    files = sorted(
        path
        for path in directory.rglob("*.net")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )
    if not files:
        raise fail("E0212", f"there is no `.net` file in `{directory}`")
    return files


def _listed(nets: list[str]) -> str:
    return f"it has {listed(nets)}"
