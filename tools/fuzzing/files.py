"""Damaged files, read in this process by the functions of the commands."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import click

from fuzzing.outcome import Outcome, control_character, refusal_fault
from fuzzing.readers import READERS, lay
from netdsl.base.diagnostics import NetdslError

if TYPE_CHECKING:
    from fuzzing.fixtures import Files
    from fuzzing.readers import Reader

SPECIAL = ("pipe", "device", "folder", "loop", "nothing")
"""What may take the place of a file."""
ONE_IN = 60
"""One of so many files is replaced by something else instead of being damaged."""
MAX_BYTES = 2**28
"""The size of the largest file that is written, in bytes."""

HOME = Path.cwd()


def prepare(name: str) -> None:
    """Import what a reader needs, and check that it reads its first valid files."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_BYTES, MAX_BYTES))
    reader = READERS[name]
    ways = [*reader.commands, *([reader.also] if reader.also else [])]
    for way in ways:
        found = _tried(dict(reader.make[0]()), None, way)
        if found.verdict != "read" or found.wrong:
            raise RuntimeError(f"{name}: {way} does not read valid files: {found.report}")


def attempt(name: str, seed: int, index: int) -> Outcome:
    """Read a damaged file."""
    reader = READERS[name]
    random = Random(f"{seed}/{name}/{index}")
    files, special = spoilt(reader, random)
    ways = [random.choice(reader.commands), *([reader.also] if reader.also else [])]
    return _tried(files, special, random.choice(ways))


def spoilt(reader: Reader, random: Random) -> tuple[Files, tuple[str, str] | None]:
    """Return files of which one is damaged, or the name of a file and what takes its place."""
    files = reader.files(random)
    if reader.special and random.randrange(ONE_IN) == 0:
        return files, (random.choice(reader.targets(files)), random.choice(SPECIAL))
    reader.spoil(random, files)
    return files, None


def put(files: Files, special: tuple[str, str] | None, folder: Path) -> None:
    """Write files to a folder, and put something else in the place of a file."""
    lay(files, folder)
    if special is None:
        return
    path = folder / special[0]
    path.unlink()
    match special[1]:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)


def _tried(files: Files, special: tuple[str, str] | None, way: object) -> Outcome:
    folder = Path(mkdtemp(prefix="netdsl-fuzz-"))
    try:
        put(files, special, folder)
        before = _listed(folder)
        os.chdir(folder)
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = _called(way)
        except (NetdslError, click.ClickException) as error:
            text = str(error) if isinstance(error, NetdslError) else error.format_message()
            fault = refusal_fault(text, [True]) or _left(folder, before, way)
            return Outcome("internal error" if fault else "refused", fault, text[:3000])
        text = out.getvalue() + err.getvalue()
        fault = control_character(text)
        return Outcome("internal error" if fault else "read" if code == 0 else "refused", fault, text[:3000])
    finally:
        os.chdir(HOME)
        shutil.rmtree(folder, ignore_errors=True)


def _called(way: object) -> int:
    """Call a command in this process, or a function; return the exit code."""
    if callable(way):
        way()
        return 0
    from netdsl.cli import main

    code = main.main(str(way).split(), standalone_mode=False)
    return code if isinstance(code, int) else 0


def _listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _left(folder: Path, before: set[str], way: object) -> str:
    """Describe what a failed command left behind; `train` may leave a run that can be resumed."""
    if isinstance(way, str) and way.startswith("train"):
        return ""
    more = sorted(_listed(folder) - before)
    return f"a refusal that leaves {more[0]}" if more else ""


def keep(name: str, seed: int, index: int, folder: Path) -> None:
    """Write the input to a folder."""
    put(*spoilt(READERS[name], Random(f"{seed}/{name}/{index}")), folder)
    with suppress(OSError):
        (folder / "commands.txt").write_text("\n".join(f"netdsl {way}" for way in READERS[name].commands) + "\n")
