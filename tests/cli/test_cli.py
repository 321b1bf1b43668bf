"""The command line: what it prints, where, and with which exit code; and what it does not import."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from commands import ENVIRONMENT, ROOT, process, python, run
from PIL import Image

import netdsl
from netdsl.base.packages import Broken
from netdsl.base.resources import shipped
from netdsl.cli import HOMES, main
from netdsl.passes import PASSES
from netdsl.recipe.words import NUMBERS, WORDS
from netdsl.reference.zoo import entries
from netdsl.runtime.doctor import examine

LENET = str(ROOT / "nets" / "lenet5.net")
RESNET = str(ROOT / "nets" / "resnet.net")
WARNS = "net a(unused = 1) { input x: 8; dense 4 }\n"
WRONG = """\
block b(n) { dense n/2 }
net one { input x: 8; b 7 }
net two { input x: 8; b 7 }
net three { input x: 3x4x4; conv 8 k7 }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model():
    run("compile", LENET, "--quiet")
    return Path("lenet5.onnx")


# ------------------------------------------------------------------------------------------------ the program


def test_version_and_help():
    assert run("--version")[0] == f"netdsl {netdsl.__version__}\n"
    for arguments in (["--help"], ["-h"]):
        text = run(*arguments)[0]
        assert all(f"  {name} " in text for name in HOMES)
        assert "..." not in text.partition("Commands:")[2]  # every command's line is whole
    for name in HOMES:
        assert run(name, "--help")[0].startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["compile"],
        ["compile", LENET, "--nonsense"],
        ["compile", LENET, "-O2"],
        ["compile", LENET, "--batch", "0"],
        ["compile", LENET, "--set", "classes"],
        ["compile", LENET, "--allow", "E0402"],
        ["compile", LENET, "--emit", "graph", "-o", "x.onnx"],
        ["compile", LENET, "--emit", "source"],
        ["compile", LENET, "--emit", "after:fold_back", "-O0"],
        ["compile", LENET, "-o", "-"],
        ["run", "m.onnx"],
        ["run", "m.onnx", "x.png", "--device", "gpu"],
        ["run", "m.onnx", "x.png", "--mean", "a"],
        ["run", "m.onnx", "x.png", "-o", "x.txt"],
        ["bench", "m.onnx", "--set", "classes=3"],
        ["bench", "lenet5", "--cuda-graph"],
        ["bench", "lenet5", "--size", "H=0"],
        ["explain", "E9999"],
        ["completion", "cmd"],
    ],
)
def test_wrong_usage(arguments):
    out, err = run(*arguments, code=2)
    assert out == ""
    assert "Error: " in err


def test_an_internal_error_is_short_and_says_so(monkeypatch):
    monkeypatch.setattr("netdsl.reference.zoo.entries", lambda: 1 / 0)
    _, err = run("nets", code=70)
    assert "internal error: ZeroDivisionError" in err
    assert len(err.splitlines()) <= 4


def test_the_traceback_of_an_internal_error_can_be_had(monkeypatch):
    monkeypatch.setattr("netdsl.reference.zoo.entries", lambda: 1 / 0)
    monkeypatch.setenv("NETDSL_DEBUG", "1")
    assert isinstance(CliRunner().invoke(main, ["nets"]).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 1, "error: not enough memory\n"),
        (MemoryError("cpu is full"), 1, "error: not enough memory: cpu is full\n"),
        (OSError(28, "No space left on device", "x"), 1, "error: `x`: no space left on device\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
    ],
)
def test_what_the_machine_refuses_is_one_line(monkeypatch, error, code, words):
    def fail():
        raise error

    monkeypatch.setattr("netdsl.reference.zoo.entries", fail)
    assert run("nets", code=code)[1] == words


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_interrupted():
    reader, writer = os.pipe()
    started = process("check", "-", stdin=reader)
    os.close(reader)
    os.write(writer, bytes(2**17))  # more than the pipe holds: from here on the program waits for the rest
    time.sleep(1)  # until it has entered the call that waits
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=30)
    os.close(writer)
    assert (started.returncode, err) == (130, "\ninterrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    started = process("layers", stdout=writer)
    os.close(writer)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_stdout_is_told():
    with Path("/dev/full").open("w") as full:
        started = process("explain", stdout=full)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (1, "error: no space left on device\n")


def test_a_terminal_that_cannot_show_a_character_stops_nothing():
    Path("a.net").write_text("net a { input x: 8; dense 4 $ } # größer ж\n", encoding="utf-8")
    started = process("check", "a.net", env=ENVIRONMENT | {"PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    _, err = started.communicate(timeout=30)
    assert started.returncode == 1
    assert r"größer \u0436" in err


# ------------------------------------------------------------------------------------------------ start-up


def imported(*args):
    """The modules that a command imports."""
    code = f"""
import sys
from netdsl.cli import main
try:
    main({list(args)!r})
except SystemExit as end:
    assert not end.code
print("MODULES", *sys.modules)
"""
    return set(python(code).rpartition("MODULES ")[2].split())


HEAVY = {"torch", "onnx", "onnxruntime", "numpy", "PIL"}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--version"], set()),
        (["check", LENET], set()),
        (["check", RESNET], set()),
        (["check", str(ROOT / "nets")], set()),
        (["summary", LENET], set()),
        (["nets"], set()),
        (["layers"], set()),
        (["explain", "E0402"], set()),
        (["compile", LENET, "--emit", "graph"], set()),
        (["compile", LENET], {"onnx", "numpy"}),
        (["completion", "zsh"], set()),
    ],
)
def test_heavy_packages_are_imported_where_they_are_needed(arguments, allowed):
    assert HEAVY & imported(*arguments) == allowed


def test_the_package_itself_imports_nothing_heavy():
    modules = set(python("import sys, netdsl; print(*sys.modules)").split())
    assert "netdsl" in modules
    assert not (HEAVY | {"click", "lark", "dataclasses"}) & modules


# ------------------------------------------------------------------------------------------------ compile


def test_compile_writes_the_net_s_name_and_says_so():
    out, err = run("compile", LENET)
    assert re.fullmatch(r"lenet5\.onnx \(2\d\d KiB\): 61,706 parameters, \d+\.\d\d s\n", out)
    assert err == ""
    onnx.checker.check_model("lenet5.onnx", full_check=True)


def test_compile_with_options():
    run("compile", "lenet5", "-o", "m.onnx", "--batch", "4", "--opset", "17", "--set", "classes=3", "--quiet", "-O0")
    proto = onnx.load("m.onnx")
    assert [d.dim_value for d in proto.graph.output[0].type.tensor_type.shape.dim] == [4, 3]
    assert proto.opset_import[0].version == 17


def test_seeds_and_schemes_change_the_weights():
    def written(*options):
        run("compile", LENET, "-o", "m.onnx", *options)
        return Path("m.onnx").read_bytes()

    assert written() == written("--seed", "0", "--init", "pytorch")
    assert len({written(), written("--seed", "1"), written("--init", "he"), written("--init", "normal")}) == 4


def test_external_data_is_named():
    out, _ = run("compile", LENET, "--external-data")
    assert "lenet5.onnx.data" in out
    assert Path("lenet5.onnx.data").stat().st_size >= 4 * 61_706


def test_auxiliary_heads_are_written_for_training_alone():
    text = "net a { input x: 4; dense 4; aux head: { dense 2 }; dense 3 }"
    Path("a.net").write_text(text)
    assert ": 35 parameters, " in run("compile", "a.net")[0]
    assert ": 45 parameters, " in run("compile", "a.net", "--training")[0]
    assert [output.name for output in onnx.load("a.onnx").graph.output] == ["output", "head"]


def test_errors_of_the_input(folder):
    Path("wrong.net").write_text(WRONG)
    out, err = run("compile", "wrong.net:one", code=1)
    assert out == ""
    assert "error[E0307]" in err
    assert "wrong.net:1:" in err
    assert run("compile", "nonesuch", code=1)[1].startswith("error[E0212]")
    assert run("compile", "nonesuch.net", code=1)[1].startswith("error[E0901]")
    assert run("compile", LENET, "--opset", "99", code=1)[1].startswith("error[E0908]")
    assert run("compile", LENET, "-o", folder, code=1)[1].startswith("error[E0902]")
    for options in ([], ["--external-data"]):
        assert run("compile", LENET, "-o", ".", *options, code=1)[1].startswith("error[E0902]")
    assert run("compile", LENET, "-o", folder / "no" / "x.onnx", code=1)[1].startswith("error[E0902]")
    assert sorted(path.name for path in folder.iterdir()) == ["wrong.net"]


def test_a_source_is_never_written_over():
    Path("mine.net").write_text(WARNS)
    assert "E0902" in run("compile", "mine.net", "-o", "mine.net", code=1)[1]
    assert Path("mine.net").read_text() == WARNS


def test_warnings_are_shown_unless_allowed():
    Path("a.net").write_text(WARNS)
    assert "warning[W0106]" in run("compile", "a.net")[1]
    assert run("compile", "a.net", "--allow", "w0106")[1] == ""
    assert run("compile", "a.net", "--quiet") == ("", "")


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("tree", "  declarations: BlockDeclaration\n    name: 'lenet5'\n"),
        ("graph", "%conv1 = conv(%image) out=6 k=5 p=2 : 6x28x28"),
        ("optimized", "%conv1 = conv(%image)"),
        ("onnx", "conv1 = Conv <"),
    ],
)
def test_every_stage_can_be_printed(folder, stage, words):
    assert words in run("compile", LENET, "--emit", stage)[0]
    assert list(folder.iterdir()) == []


def test_the_graph_is_printed_after_any_pass():
    after = {name: run("compile", "resnet18", "--emit", f"after:{name}")[0] for name in PASSES}
    assert " = bn(" in after["merge_affines"]
    assert " = bn(" not in after["fold_back"]
    assert after[[*PASSES][-1]] == run("compile", "resnet18", "--emit", "optimized")[0]


@pytest.mark.parametrize("stage", ["after:", "after", "after:fold"])
def test_a_pass_that_is_not_there_brings_a_list_of_those_that_are(stage):
    err = run("compile", LENET, "--emit", stage, code=2)[1]
    assert f"got `{stage}`" in err
    assert all(name in err for name in PASSES)


@pytest.mark.parametrize("text", ["classes=[1,", "classes=3 4", "train.batch=32; epochs 1", "classes={[]:1}"])
def test_the_text_of_an_option_that_cannot_be_read_is_wrong_usage(text):
    _, err = run("train", LENET, "--data", "digits", "--set", text, code=2)
    assert re.search(r"^error\[E01\d\d\](.|\n)*--> --set:1:", err)


# ------------------------------------------------------------------------------------------------ check


def test_check_all_is_well():
    assert run("check", LENET) == ("1 net: no errors, no warnings\n", "")
    assert run("check", RESNET)[0] == "5 nets: no errors, no warnings\n"
    assert run("check", "resnet50", LENET)[0] == "2 nets: no errors, no warnings\n"


def test_check_reports_every_error_once():
    Path("wrong.net").write_text(WRONG)
    out, err = run("check", "wrong.net", code=1)
    assert out == "3 nets: 2 errors, no warnings\n"
    assert err.count("error[E0307]") == 1
    assert err.count("error[E0402]") == 1


def test_check_goes_through_folders(folder):
    for name, text in {"a/b/one.net": WARNS, "two.net": WRONG, ".hidden/three.net": WRONG, "a/x.txt": WRONG}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    out, err = run("check", ".", code=1)
    assert out == "4 nets: 2 errors, 1 warning\n"
    assert "a/b/one.net:1:" in err
    assert run("check", "a", "--allow", "W0106") == ("1 net: no errors, no warnings\n", "")
    (folder / "empty").mkdir()
    assert "E0212" in run("check", "empty", code=1)[1]


def test_check_as_json():
    Path("wrong.net").write_text(WRONG)
    made = json.loads(run("check", "wrong.net", "nonesuch", "--format", "json", code=1)[0])
    assert (made["nets"], made["errors"]) == (4, 3)
    assert [item["code"] for item in made["diagnostics"]] == ["E0307", "E0402", "E0212"]
    assert made["diagnostics"][1]["place"]["line"] == 4


def test_errors_of_other_commands_are_json_too():
    for command in ("summary", "bench"):
        made = json.loads(run(command, "nonesuch", "--format", "json", code=1)[0])
        assert [item["code"] for item in made["diagnostics"]] == ["E0212"]


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_only_on_a_terminal_that_wants_them(monkeypatch, environment, coloured):
    from netdsl.cli import common

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    class Terminal:
        def isatty(self):
            return True

    assert common.coloured(Terminal()) is coloured
    assert "\x1b" not in process("check", "nonesuch").communicate(timeout=30)[1]


# ------------------------------------------------------------------------------------------------ summary


def test_summary():
    out, err = run("summary", LENET)
    assert err == ""
    assert out.startswith("lenet5: image 1x28x28 -> logits 10\n")
    assert "parameters     61,706 (241 KiB)" in out
    assert "MACs           416,520 (417 K)" in out
    assert "connections" in run("summary", LENET, "--neurons")[0]


def test_summary_to_a_depth():
    names = [line.split()[0] for line in run("summary", "resnet18", "--depth", "1")[0].splitlines()[4:16]]
    assert names == ["image", "conv1", "bn1", "relu1", "maxpool1", "layer1", "layer2", "layer3", "layer4",
                     "global_avgpool1", "flatten1", "fc"]  # fmt: skip


def test_summary_as_json_adds_up():
    made = json.loads(run("summary", "resnet50", "--format", "json")[0])
    layers = [layer for layer in made["layers"] if not layer["block"]]
    for figure in ("params", "macs", "activation_bytes"):
        assert sum(layer[figure] for layer in layers) == made["totals"][figure]
    assert made["totals"]["params"] == 25_557_032
    top = json.loads(run("summary", "resnet50", "--format", "json", "--depth", "1")[0])
    assert sum(layer["params"] for layer in top["layers"]) == 25_557_032


def test_summary_of_training_heads():
    made = json.loads(run("summary", "googlenet_aux", "--format", "json")[0])
    assert (made["totals"]["params"], made["training_only"]["params"]) == (6_624_904, 13_004_888 - 6_624_904)


# ------------------------------------------------------------------------------------------------ run and bench


def test_run_an_image(model):
    Image.new("L", (40, 30), 200).save("a.png")
    out, err = run("run", model, "a.png", "--top", "3", "--mean", "0.5", "--std", "0.25")
    lines = out.splitlines()
    assert lines[0] == "a.png: logits, softmax of the logits"
    assert len(lines) == 4
    assert err == ""


def test_run_labels():
    Path("a.net").write_text('net a { input image: 1x2x2; flatten -> dense 2 -> softmax; labels ["cat", "dog"] }')
    run("compile", "a.net", "--quiet")
    Image.new("L", (2, 2)).save("a.png")
    out, _ = run("run", "a.onnx", "a.png")
    assert out.splitlines()[0] == "a.png: output, probability"
    assert {line.split()[1] for line in out.splitlines()[1:]} == {"cat", "dog"}


def test_run_arrays_and_write_them(model):
    np.save("x.npy", np.zeros((3, 1, 28, 28), np.float32))
    np.save("y.npy", np.zeros((1, 28, 28), np.float32))
    made = json.loads(run("run", model, "x.npy", "y.npy", "-o", "out.npy", "--format", "json")[0])
    assert [one["input"] for one in made] == ["x.npy[0]", "x.npy[1]", "x.npy[2]", "y.npy"]
    out = np.load("out.npy")
    assert out.shape == (4, 10)
    assert np.ptp(out, axis=0).max() < 1e-6


def test_run_on_an_output_that_is_no_list_of_classes():
    Path("a.net").write_text("net a { input image: 1xHxW; conv 2 k1 }")
    run("compile", "a.net", "--quiet")
    np.save("x.npy", np.full((1, 3, 5), np.nan, np.float32))
    assert run("run", "a.onnx", "x.npy")[0] == "x.npy: output 2x3x5  (holds NaN or infinite values)\n"
    assert json.loads(run("run", "a.onnx", "x.npy", "--format", "json")[0])[0]["finite"] is False
    np.save("x.npy", np.ones((1, 3, 5), np.float32))
    assert re.fullmatch(r"x.npy: output 2x3x5, from \S+ to \S+, mean \S+\n", run("run", "a.onnx", "x.npy")[0])


def test_run_refuses(model):
    Image.new("L", (28, 28)).save("a.png")
    assert "E0904" in run("run", model, "a.png", "--device", "tensorrt:99", code=1)[1]
    assert "E0905" in run("run", LENET, "a.png", code=1)[1]
    assert "E0901" in run("run", "no.onnx", "a.png", code=1)[1]
    assert "E0901" in run("run", model, "no.png", code=1)[1]
    assert "E0902" in run("run", model, "a.png", "-o", "no/x.npy", code=1)[1]


def test_bench_of_a_net_and_of_its_model(model):
    for what in (LENET, model):
        made = json.loads(run("bench", what, "--runs", "3", "--batch", "2", "--format", "json")[0])
        assert (made["batch"], made["runs"], made["macs"]) == (2, 3, 416_520)
        assert sum(made["nodes"].values()) > 0
    out, _ = run("bench", LENET, "--runs", "3", "--io-binding")
    assert re.search(r"p50 \d+\.\d+ ms, p90 .*throughput .*arithmetic .*FLOP/s.*nodes", out, re.DOTALL)


def test_bench_of_a_net_whose_parameters_have_any_name():
    Path("n.net").write_text("net n(spec = 3, path = 2) { input x: 4; dense spec*path }")
    assert "throughput" in run("bench", "n.net", "--runs", "1", "--set", "spec=5", "--set", "path=1")[0]


def test_bench_of_open_sizes():
    Path("a.net").write_text("net a { input image: 1xHxW; conv 2 k1 }")
    assert "--size H=224 --size W=224" in run("bench", "a.net", "--runs", "1", code=1)[1]
    made = json.loads(run("bench", "a.net", "--runs", "1", "--size", "H=4", "--size", "W=5", "--format", "json")[0])
    assert made["macs"] == 2 * 4 * 5


def test_images_are_held_to_the_constraints_of_the_net():
    Path("a.net").write_text("net a { input image: 3xHxW where H % 32 == 0, W % 32 == 0; conv 2 k4 s4 }")
    Image.new("RGB", (100, 64)).save("x.png")
    run("compile", "a.net")
    _, err = run("run", "a.onnx", "x.png", code=1)
    assert "E0906" in err
    assert "`netdsl run --size W=128` scales images to them" in " ".join(err.split())
    out, _ = run("run", "a.onnx", "x.png", "--size", "W=128")
    assert "2x16x32" in out
    assert "there is no open size `Z`" in run("run", "a.onnx", "x.png", "--size", "Z=128", code=1)[1]
    for what in ("a.net", "a.onnx"):
        _, err = run("bench", what, "--runs", "1", "--size", "H=33", "--size", "W=32", code=1)
        assert "H = 33 breaks `H % 32 == 0`" in " ".join(err.split())


# ------------------------------------------------------------------------------------------------ the reference


def test_a_shipped_net_is_known_in_any_folder():
    Path("resnet50").mkdir()  # as for its checkpoints
    run("compile", "resnet50", "-o", "r.onnx")
    assert [dim.dim_value for dim in onnx.load("r.onnx").graph.input[0].type.tensor_type.shape.dim[1:]] == [3, 224, 224]


def test_nets_lists_every_shipped_net_that_stands_alone(monkeypatch):
    known = entries()
    monkeypatch.setattr("netdsl.reference.zoo.entries", lambda: known)  # both forms of one list
    made = json.loads(run("nets", "--format", "json")[0])
    names = [entry["name"] for entry in made]
    assert set(names) <= set(shipped())
    assert {"lenet5", "resnet50", "vgg16"} <= set(names)
    by_name = {entry["name"]: entry for entry in made}
    assert by_name["resnet50"]["params"] == 25_557_032
    assert [paper.split(",")[0] for paper in by_name["resnet50"]["papers"]] == ["He"]
    assert [paper.split(",")[0] for paper in by_name["wide_resnet50_2"]["papers"]] == ["Xie", "Zagoruyko"]
    assert by_name["multilabel"]["papers"] == []
    listed = run("nets")[0]
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in ("lenet5", "resnet50"))


def test_no_two_shipped_nets_are_called_alike():
    names = [
        name
        for file in (ROOT / "nets").glob("*.net")
        for name in re.findall(r"^net (\w+)", file.read_text(), re.MULTILINE)
    ]
    assert len(names) == len(set(names))


def test_layers():
    out, _ = run("layers")
    assert re.search(r"^  conv +Convolution", out, re.MULTILINE)
    out, _ = run("layers", "conv")
    assert out.startswith("conv out k s=1 p=0 d=1 g=1 bias=yes\n")
    assert re.search(r"^  out +positive integer; required$", out, re.MULTILINE)
    assert json.loads(run("layers", "relu", "--format", "json")[0])["name"] == "relu"
    _, err = run("layers", "convv", code=1)
    assert "E0201" in err
    assert "`conv`" in err


def test_every_layer_is_described():
    for entry in json.loads(run("layers", "--format", "json")[0]):
        assert entry["family"], entry["name"]
        assert "Source:" in entry["text"], entry["name"]


def test_recipe():
    out, _ = run("recipe")
    assert "\n`optimizer`: how a step changes the parameters; `sgd 0.01 momentum=0.9` unless given\n" in out
    assert re.search(r"^  adam +Adam", out, re.MULTILINE)
    assert re.search(r"^  batch +The number of samples in a batch.* 64 unless given.$", out, re.MULTILINE)
    assert re.search(r"^  clip .*by default, they are not clipped.$", out, re.MULTILINE)
    out, _ = run("recipe", "sgd")
    assert out.startswith("sgd lr momentum=0.0 nesterov=no weight_decay=0.0\n")
    assert re.search(r"^  lr +non-negative number; required$", out, re.MULTILINE)
    assert json.loads(run("recipe", "adamw", "--format", "json")[0])["arguments"][0]["default"] == "0.001"


@pytest.mark.parametrize(
    ("command", "name", "code", "remedy"),
    [
        ("recipe", "adamm", "E0801", "did you mean `adam` or `adamw`?"),
        ("recipe", "dropout", "E0801", "`netdsl layers dropout` describes it"),
        ("layers", "sgd", "E0201", "`netdsl recipe sgd` describes it"),
        ("layers", "xyzzy", "E0201", "`netdsl layers` lists all"),
    ],
)
def test_what_is_not_described_here(command, name, code, remedy):
    _, err = run(command, name, code=1)
    assert code in err
    assert remedy in err


def test_every_word_of_a_recipe_is_described():
    known = {entry["name"]: entry for entry in json.loads(run("recipe", "--format", "json")[0])}
    assert set(known) == {*NUMBERS, *(word for words in WORDS.values() for word in words)}
    assert len(known) == len(NUMBERS) + sum(map(len, WORDS.values()))
    for entry in known.values():
        assert entry["text"].endswith("."), entry["name"]


def test_explain():
    out, _ = run("explain", "e0402")
    assert out.startswith("E0402: window larger than the padded input\n\n")
    assert "    net a { input x: 3x4x4; conv 8 k7 }" in out
    assert len(run("explain")[0].splitlines()) > 70


def test_doctor(monkeypatch):
    found = examine()
    monkeypatch.setattr("netdsl.runtime.doctor.examine", lambda: found)  # both forms of one report
    out, _ = run("doctor")
    assert re.search(r"^ok +numpy +\d", out, re.MULTILINE)
    made = {item["name"]: item for item in json.loads(run("doctor", "--format", "json")[0])}
    assert made["--device cpu"]["state"] == "ok"
    assert made["netdsl"]["detail"] == netdsl.__version__


def test_doctor_misses_what_is_needed(monkeypatch):
    missing = {"numpy": Broken("numpy", "", "", "", missing=True), "torch": Broken("torch", "", "/x", "OSError: no")}
    monkeypatch.setattr("netdsl.runtime.doctor.import_apart", lambda names: {name: missing.get(name) for name in names})
    assert re.search(r"^broken +torch .*the import at /x fails: OSError: no$", run("doctor", code=1)[0], re.MULTILINE)
    assert re.search(r"^missing +numpy +pip install numpy$", run("doctor", code=1)[0], re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    assert "_NETDSL_COMPLETE" in run("completion", shell)[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("netdsl com", "compile"), ("netdsl compile resnet1", "resnet152"), ("netdsl layers max", "maxpool")],
)
def test_shells_complete_commands_nets_and_layers(words, expected):
    asked = {"_NETDSL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    made = python("import sys; sys.argv[0] = 'netdsl'; from netdsl.cli import main; main(prog_name='netdsl')", **asked)
    assert f"plain,{expected}" in made.split()


# ------------------------------------------------------------------------------------------------ the API


def test_the_api():
    net = netdsl.load("resnet18", classes=10)
    assert net.params == 11_689_512 - 513_000 + 5_130
    assert repr(net).startswith("<net resnet18: image 3x224x224 -> output 10; 11,181,642 parameters")
    assert "<table>" in net._repr_html_()
    assert repr(net.summary()).startswith("resnet18: ")
    tiny = netdsl.loads("net t(n = 2) { input x: 3; dense n }", n=5)
    assert tiny.to_onnx().graph.initializer[0].dims == [5, 3]
    tiny.to_onnx("t.onnx", weights=netdsl.Initializer("he", 7))
    assert netdsl.Session("t.onnx").run({"x": np.zeros((1, 3), np.float32)})["output"].shape == (1, 5)
    netdsl.compile("lenet5", "l.onnx", batch=1)
    assert Path("l.onnx").exists()
    assert set(netdsl.__all__) <= set(dir(netdsl))
    assert all(getattr(netdsl, name) for name in netdsl.__all__)
    with pytest.raises(AttributeError):
        netdsl.nonsense  # noqa: B018 - reading it is the test
    with pytest.raises(netdsl.NetdslError, match="E0301"):
        netdsl.load("lenet5", clases=3)
