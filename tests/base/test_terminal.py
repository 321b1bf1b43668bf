"""The door to the terminal: what others wrote appears there and does nothing, and there is no other door."""

from __future__ import annotations

import ast
import json
import logging
import unicodedata
import warnings
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper, save_model
from PIL import Image

import netdsl
from netdsl.base import terminal
from netdsl.base.diagnostics import INVISIBLE, Diagnostic, render, visible
from netdsl.base.source import Source, Span
from netdsl.base.table import Table
from netdsl.cli import _guarded, main

PACKAGE = Path(netdsl.__file__).parent
HOSTILE = {
    "a colour": "\x1b[31m",
    "a title": "\x1b]0;owned\x07",
    "a link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "a bell": "\x07",
    "a return": "good\rbad",
    "backspaces": "good\x08\x08\x08\x08bad",
    "a form feed": "\x0c",
    "a control of one byte": "\x9b2J",
    "a next line": "\x85",
    "a direction": "\u202egnp.exe",
    "an isolate": "\u2066x\u2069",
    "a mark": "\u200f",
    "nothing": "a\u200bb\ufeff",
    "a delete": "\x7f",
    "a separator": "\u2028",
    "a tag": "\U000e0041",
    "a line": "x\nerror[E0000]: faked",
}

TOGETHER = {"all": "".join(text for name, text in HOSTILE.items() if name != "a line"), "a line": HOSTILE["a line"]}


def harmless(text):
    """Nothing hidden in any line, and no line that a name made."""
    return all(INVISIBLE.search(line) is None and not line.startswith("error[E0000]") for line in text.split("\n"))


# -------------------------------------------------------------------------------------------- what is visible


def test_every_character_that_a_terminal_obeys_is_replaced():
    for number in range(0x110000):
        character = chr(number)
        kind = unicodedata.category(character)
        if kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        ):  # fmt: skip
            assert visible(character) == ("\t" if character == "\t" else "\ufffd"), hex(number)
        elif kind[0] in "LNPS" or character in " \u200c\u200d":  # the last two join letters
            assert visible(character) == character, hex(number)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_door_prints_one_line(name, capsys):
    terminal.say(HOSTILE[name])
    terminal.say(f"\x1b[31;1m{HOSTILE[name]}", err=True)
    out, err = capsys.readouterr()
    assert out.count("\n") == err.count("\n") == 1
    assert harmless(out)
    assert harmless(err)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "a line"])
def test_colours_of_ours_pass_and_no_others(name, capsys):
    terminal.say_text(f"\x1b[31;1merror\x1b[0m\n{HOSTILE[name]}\x1b[5m", styled=True)
    out, _ = capsys.readouterr()
    assert out.startswith("\x1b[31;1merror\x1b[0m\n")
    rest = out.removeprefix("\x1b[31;1merror\x1b[0m\n").replace("\x1b[31m", "")
    assert harmless(rest)


@pytest.mark.parametrize("name", HOSTILE)
def test_json_is_escaped_and_loses_nothing(name, capsys):
    value = {HOSTILE[name]: ["é\u200d", HOSTILE[name], "\ud800"]}
    terminal.say_json(value)
    out, _ = capsys.readouterr()
    assert json.loads(out) == value
    assert harmless(out)


@pytest.mark.parametrize("name", HOSTILE)
def test_cells_keep_what_is_in_them(name):
    table = Table(["name", ">size"], [[HOSTILE[name], "1"], ["a", HOSTILE[name]]])
    assert table.text().count("\n") == 3
    assert harmless(table.text())
    assert harmless(table.html())


@pytest.mark.parametrize("name", HOSTILE)
def test_diagnostics_are_visible_in_every_part(name):
    text = HOSTILE[name]
    span = Span(Source(f"{text}.net", f"conv {text}"), 0, 4)
    shown = render(Diagnostic("E0101", text, span, text, (text,), text, ((text, span),)))
    assert harmless(shown)
    assert len(shown.split("\n")) == 8
    coloured = render(Diagnostic("E0101", text, span, text, (text,), text), colour=True)
    assert harmless("".join(terminal._STYLE.split(coloured)[::2]))


# -------------------------------------------------------------------------------------------- no other door

WAYS = {"echo", "secho", "echo_via_pager", "progressbar", "confirm", "prompt", "getchar", "pause", "edit", "launch"}


def ways_around(text):
    """The calls and names in a text of Python by which something could be printed past the door."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input" | "breakpoint" as name)):
                yield name
            case ast.Attribute(value=ast.Name(id="click"), attr=attr) if attr in WAYS:
                yield attr
            case ast.ImportFrom(module="click", names=names):
                yield from (alias.name for alias in names if alias.name in WAYS)
            case ast.ImportFrom(module="sys", names=names):
                yield from (alias.name for alias in names if "std" in alias.name)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr=stream), attr=attr) if stream.strip(
                "_"
            ) in ("stdout", "stderr") and attr not in ("isatty", "fileno"):
                yield f"{stream}.{attr}"
            case ast.keyword(arg="file", value=ast.Attribute(value=ast.Name(id="sys"))):
                yield "file="
            case ast.Attribute(value=ast.Name(id="traceback"), attr=attr) if attr.startswith("print"):
                yield attr
            case ast.Attribute(value=ast.Name(id="os"), attr="write"):
                yield "os.write"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_printed_past_the_door(path):
    if path.name != "terminal.py":
        assert list(ways_around(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    ["print(1)", "click.echo(1)", "from click import secho", "sys.stdout.write('a')", "from sys import stderr",
     "sys.__stderr__.flush()", "f(1, file=sys.stderr)", "traceback.print_exc()", "os.write(1, b'a')"],
)  # fmt: skip
def test_ways_around_are_found(text):
    assert list(ways_around(text))


# -------------------------------------------------------------------------------------------- what others print


@pytest.mark.parametrize("name", HOSTILE)
def test_warnings_logs_and_errors_of_libraries_go_through_the_door(name, capsys, monkeypatch):
    text = HOSTILE[name]
    logger = logging.getLogger("pytorch_lightning.test")
    handler = logging.StreamHandler(__import__("sys").stderr)
    monkeypatch.setattr(logger, "handlers", [handler])

    def run():
        warnings.simplefilter("always")
        warnings.warn(text, stacklevel=1)
        logger.warning("%s and %s", text, text)
        raise RuntimeError(text)

    monkeypatch.delenv("NETDSL_DEBUG", raising=False)
    monkeypatch.setattr("click.Group.invoke", lambda *_: run())
    with pytest.raises(SystemExit, match="70"):
        main(["nets"])
    _, err = capsys.readouterr()
    assert harmless(err)
    assert err.count("\n") == 5


@pytest.mark.parametrize("name", HOSTILE)
def test_what_the_machine_says_is_one_line(name, capsys):
    def run():
        raise OSError(2, HOSTILE[name], HOSTILE[name])

    assert _guarded(run) == 1
    _, err = capsys.readouterr()
    assert harmless(err)
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_tracebacks_are_harmless(name, capsys):
    if name == "a line":
        return  # a traceback, which is asked for, has the lines of its message
    terminal.show_traceback(ValueError, ValueError(HOSTILE[name]), None)
    assert harmless(capsys.readouterr().err)


OPTIONS = [
    ["TEXT"],
    ["--TEXT"],
    ["-TEXT"],
    ["check", "TEXT"],
    ["check", "TEXT.net"],
    ["check", "lenet5", "--TEXT=1"],
    ["summary", "lenet5", "TEXT"],
    ["summary", "lenet5", "--set", "TEXT"],
    ["summary", "lenet5", "--set", "TEXT=1"],
    ["summary", "lenet5", "--set", "classes=TEXT"],
    ["summary", "lenet5", "--set", 'classes="TEXT"'],
    ["summary", "lenet5", "--allow", "TEXT"],
    ["summary", "lenet5", "--format", "TEXT"],
    ["summary", "lenet5", "--depth", "TEXT"],
    ["compile", "lenet5", "-o", "TEXT/a.onnx"],
    ["compile", "lenet5", "--weights", "TEXT"],
    ["compile", "lenet5", "--weights", "TEXT.npz"],
    ["compile", "lenet5", "--weights", "w.npz", "--map", "TEXT"],
    ["compile", "lenet5", "--emit", "TEXT"],
    ["run", "TEXT.onnx", "x.npy"],
    ["run", "m.onnx", "x.npy", "--device", "TEXT"],
    ["run", "m.onnx", "x.npy", "--size", "TEXT"],
    ["run", "m.onnx", "x.npy", "--top", "TEXT"],
    ["run", "m.onnx", "TEXT.npy"],
    ["bench", "lenet5", "--size", "TEXT=3"],
    ["weights", "TEXT.safetensors"],
    ["plot", "TEXT"],
    ["plot", "curves", "TEXT"],
    ["plot", "curves", "x", "-o", "TEXT"],
    ["test", "m.onnx", "--data", "TEXT"],
    ["layers", "TEXT"],
    ["recipe", "TEXT"],
    ["explain", "TEXT"],
    ["completion", "TEXT"],
]


@pytest.mark.parametrize("arguments", OPTIONS, ids=" ".join)
def test_what_was_typed_is_shown_and_does_nothing(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _foreign(tmp_path / "m.onnx", "")
    np.save("x.npy", np.zeros((1, 3), np.float32))
    np.savez("w.npz", a=np.zeros(3))
    for text in [*TOGETHER.values(), "a" * 10_000]:
        result = CliRunner().invoke(main, [argument.replace("TEXT", text) for argument in arguments])
        assert result.exit_code in (1, 2), (text, result.output, result.exception)
        assert isinstance(result.exception, SystemExit), (text, result.exception)
        assert harmless(result.output), (text, result.output)
        assert len(result.output) < 3000


# -------------------------------------------------------------------------------------------- models and files


def _foreign(path, text):
    """A model that another program made, with a text in every name that it has."""
    shape = ["N", 3]
    ports = [helper.make_tensor_value_info(f"{name}{text}", TensorProto.FLOAT, shape) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.ones((3, 3), np.float32), f"w{text}")
    spare = numpy_helper.from_array(np.ones(3, np.float32), f"spare{text}")  # of which onnxruntime would warn
    node = helper.make_node("MatMul", [f"x{text}", f"w{text}"], [f"y{text}"], name=f"node{text}")
    graph = helper.make_graph([node], f"g{text}", ports[:1], ports[1:], [weight, spare])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 14)])
    labels = json.dumps([f"{number}{text}" for number in range(3)])
    helper.set_model_props(model, {"netdsl.labels": labels, "netdsl.net": f"n{text}", f"k{text}": text})
    save_model(model, path)


@pytest.mark.parametrize("name", TOGETHER)
def test_a_model_with_hostile_names_through_every_command(name, tmp_path, monkeypatch, capfd):
    text = TOGETHER[name]
    monkeypatch.chdir(tmp_path)
    _foreign(tmp_path / "m.onnx", text)
    file = f"x{text}.npy".replace("/", "_")
    np.save(file, np.zeros((1, 3), np.float32))
    np.savez("d.npz", x=np.zeros((6, 3), np.float32), y=np.arange(6) % 3)
    for code, arguments in (
        (0, ["run", "m.onnx", file]),
        (0, ["run", "m.onnx", file, "--format", "json"]),
        (1, ["run", "m.onnx", f"nothing{text}={file}"]),
        (0, ["bench", "m.onnx", "--runs", "1", "--warmup", "0", "--batch", "1"]),
        (0, ["weights", "m.onnx"]),
        (0, ["weights", "m.onnx", "--format", "json"]),
        (1, ["weights", "m.onnx", "--net", "lenet5"]),
        (1, ["compile", "lenet5", "--weights", "m.onnx"]),
        (0, ["test", "m.onnx", "--data", "d.npz", "--split", "train"]),
        (0, ["inspect", "m.onnx", file, "-o", "page.html"]),
        (1, ["plot", "filters", "m.onnx"]),
        (0, ["plot", "activations", "m.onnx", file]),
        (1, ["plot", "classes", "m.onnx", file]),
        (1, ["run", "page.html", file]),
    ):
        result = CliRunner().invoke(main, arguments)
        if arguments[0] == "bench" and "give its nodes plain names" in result.output:
            code = 1  # noqa: PLW2901 - older onnxruntimes write names into JSON as they are
        assert result.exit_code == code, (arguments, result.output, result.exception)
        assert harmless(result.output), (arguments, result.output)
        if "json" in arguments:
            assert json.loads(result.output)
    assert harmless(Path("page.html").read_text(encoding="utf-8"))
    printed = capfd.readouterr()  # by onnxruntime itself, past Python
    assert harmless(printed.out)
    assert harmless(printed.err)


@pytest.mark.parametrize("name", TOGETHER)
def test_tensors_and_files_with_hostile_names(name, tmp_path, monkeypatch):
    from safetensors.numpy import save_file

    text = TOGETHER[name]
    monkeypatch.chdir(tmp_path)
    save_file({f"a{text}": np.zeros(3, np.float32)}, "w.safetensors", {"k": text})
    np.savez("w.npz", **{f"a{text}".replace("/", "_"): np.zeros(3, np.float32)})
    folder = tmp_path / "data" / "train" / f"class{text}".replace("/", "_")
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    (folder / f"b{text}.png".replace("/", "_")).write_bytes(b"no image")
    net = f"net{text}.net".replace("/", "_")
    Path(net).write_text('block b(s) { relu }\nnet n { input x: 3x8x8\nb "TEXT" -> flatten -> conv 1 }'.replace(
        "TEXT", text.replace("\n", "").replace("\r", "")), encoding="utf-8")  # fmt: skip
    for arguments in (
        ["weights", "w.safetensors"],
        ["weights", "w.npz", "--net", "lenet5"],
        ["compile", "lenet5", "--weights", "w.npz"],
        ["check", net],
        ["check", "."],
        ["summary", net],
        ["compile", net, "--emit", "tree"],
        ["compile", "lenet5", "-o", f"out{text}.onnx".replace("/", "_")],
        ["compile", "lenet5", "--to", "pytorch", "-o", f"out{text}.py".replace("/", "_")],
        ["train", "lenet5", "--data", "data", "--quiet"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (0, 1), (arguments, result.output, result.exception)
        assert harmless(result.output), (arguments, result.output)


def test_strings_of_a_net_are_visible_in_its_summary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("n.net").write_text('block b(s) { relu }\nnet n { input x: 3x8x8\nb "\x1b[31m\u202e" }', encoding="utf-8")
    for command in ("summary n.net", "compile n.net --emit tree", "compile n.net --emit graph"):
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code == 0
        assert harmless(result.output)


def test_source_is_printed_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main, ["compile", "lenet5", "--to", "pytorch", "-o", "-"]).stdout
    assert printed == netdsl.load("lenet5").to_torch_source()


def test_a_bar_of_progress_goes_to_its_end(capsys):
    with terminal.progress(10, "writing\x1b[31m") as advance:
        advance(3)
    assert "\x1b[31m" not in capsys.readouterr().err


def test_missing_choices_keep_their_lines_and_what_was_typed_does_not(capsys):
    terminal.show_wrong_usage(click.MissingParameter("Choose from:\n\tonnx,\n\tpytorch", param_hint="--to"))
    assert [line.strip() for line in capsys.readouterr().err.splitlines()][-2:] == ["onnx,", "pytorch"]
    terminal.show_wrong_usage(click.UsageError("typed\nwrong"))
    assert "\nwrong" not in (shown := capsys.readouterr().err)
    assert "typed" in shown
