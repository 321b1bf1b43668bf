"""Every fenced block of README.md and docs/ is run, so that what they say stays true.

A document's blocks run in order in one folder that holds the checkout's `nets/` and `docs/digit.png`:

- `net`: every net in it must check; where it begins with a comment that names a file, it is saved under that name for
  the commands that follow, and where an `error` follows, it must be told exactly that;
- `layers`: what could stand after `input image: 3x32x32`, and must check there;
- `console`: after `$ ` a command, then exactly what it prints, where `...` stands for text left out;
- `sh`: commands that must succeed (`netdsl`) or exist (`make`, `pip`, `python tools/...`);
- `python`: run as it is, or as a doctest where it has a prompt; names live on in later blocks;
- `text`: shows something, and is not run.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from netdsl.base.diagnostics import render
from netdsl.compiler import check_file

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "120"}
NAMED = re.compile(r"# ([\w.-]+\.net)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line it starts on, and its text."""

    language: str
    line: int
    text: str


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(match[1], text.count("\n", 0, match.start()) + 1, match[2]) for match in fences]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_of_a_document_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "nets", tmp_path / "nets")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "digit.png", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    found = blocks(document)
    for block, after in zip_longest(found, found[1:]):
        try:
            if after is not None and after.language == "error":
                run_wrong(block, after)
            else:
                run(block, names)
        except Exception as error:
            raise AssertionError(f"{document.name}, line {block.line}: {error}") from error


def test_a_named_net_of_a_document_is_used_by_a_command_after_it() -> None:
    for document in DOCUMENTS:
        found = blocks(document)
        for index, block in enumerate(found):
            if named := NAMED.match(block.text):
                assert any(named[1] in later.text for later in found[index + 1 :]), (
                    f"{document.name}, line {block.line}"
                )


def run(block: Block, names: dict[str, Any]) -> None:
    match block.language:
        case "net":
            run_net(block.text)
        case "layers":
            run_net(f"net example {{\ninput image: 3x32x32\n{block.text}}}")
        case "console":
            run_console(block.text)
        case "sh":
            for line in block.text.splitlines():
                run_line(line)
        case "python":
            run_python(block, names)
        case "text" | "error":  # an error was met with the net before it
            pass
        case other:
            pytest.fail(f"no one knows how to run a block of `{other}`")


def run_net(text: str) -> None:
    if named := NAMED.match(text):
        Path(named[1]).write_text(text, encoding="utf-8")
        return  # the commands that follow are its test
    Path("block.net").write_text(text, encoding="utf-8")
    report = check_file(Path("block.net"))
    assert report.nets > 0, "it declares no net"
    assert not report.diagnostics, "\n".join(map(render, report.diagnostics))


def run_wrong(block: Block, told: Block) -> None:
    assert block.language == "net", "an error stands after a net"
    Path("block.net").write_text(block.text, encoding="utf-8")
    found = "\n\n".join(map(render, check_file(Path("block.net")).diagnostics))
    assert found == told.text.rstrip("\n"), f"it is told:\n{found}"


def run_console(text: str) -> None:
    assert text.startswith("$ "), "a console begins with a command after `$ `"
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        printed = netdsl(command).stdout
        pattern = re.escape(shown.strip("\n")).replace(r"\.\.\.", r"[^\n]*(?:\n[^\n]*)*?")
        assert re.fullmatch(pattern, printed.strip("\n")), f"`{command}` prints\n{printed}"


def run_line(line: str) -> None:
    command = line.partition("  #")[0].strip()
    words = shlex.split(command)
    match words:
        case ["netdsl", *_]:
            done = netdsl(command)
            assert done.returncode == 0, f"`{command}` fails:\n{done.stdout}"
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        case ["pip", "install", *what]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            extras = re.findall(r"\[(\w+)\]", " ".join(what))
            assert extras, "an installation names its extra"
            assert set(extras) <= set(project["optional-dependencies"])
        case ["python", script, *_]:
            assert (ROOT / script).is_file()
        case _:
            pytest.fail(f"no one knows how to run `{command}`")


def netdsl(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of netdsl; errors are printed among its output, as on a terminal."""
    words = shlex.split(command)
    assert words[0] == "netdsl", f"`{command}` is not a command of netdsl"
    return subprocess.run(
        [sys.executable, "-m", *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip


def run_python(block: Block, names: dict[str, Any]) -> None:
    if ">>>" not in block.text:
        exec(compile(block.text, f"line {block.line}", "exec"), names)  # noqa: S102 - running it is the test
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, "block", None, block.line)
    complaints: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    result = runner.run(test, out=complaints.append, clear_globs=False)
    assert result.failed == 0, "".join(complaints)
    names.update(test.globs)
