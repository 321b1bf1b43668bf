"""The functions and classes that `import netdsl` offers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import ROOT, error, python, run

import netdsl

LENET = ROOT / "nets" / "lenet5.net"
TWO = "net two {\n    input a: 2\n    input b: 2\n    concat { @a ; @b } -> dense 3 -> output both\n}"


def test_the_module_shows_its_interface_alone():
    assert dir(netdsl) == sorted(netdsl.__all__)
    printed = python("import netdsl\nfor name in netdsl.__all__: print(name, bool(getattr(netdsl, name).__doc__))")
    assert not [line for line in printed.splitlines() if line.endswith("False")]


def test_a_net_is_loaded_by_its_path():
    net = netdsl.load(LENET)
    assert {name: str(type_) for name, type_ in net.inputs.items()} == {"image": "1x28x28"}
    assert {name: type_.shape for name, type_ in net.outputs.items()} == {"logits": (10,)}
    assert [*net.layers][:3] == ["conv1", "relu1", "maxpool1"]
    assert net.layers["conv1"].out == 6


def test_the_inputs_of_a_graph_are_found_once():
    graph = netdsl.load(LENET).graph
    assert graph.inputs is graph.inputs  # passes and lowering ask for them at every node


def test_every_shipped_net_has_a_name_that_loads():
    assert "resnet50" in netdsl.nets()
    assert netdsl.load(netdsl.nets()[0]).params > 0


@pytest.fixture
def models(tmp_path):
    netdsl.compile(LENET, tmp_path / "lenet.onnx")
    netdsl.loads(TWO).to_onnx(tmp_path / "two.onnx")
    return tmp_path


def test_a_model_takes_an_array_keywords_or_a_dictionary(models):
    session = netdsl.Session(models / "lenet.onnx")
    assert repr(session) == "<model lenet.onnx on cpu: `image`: float32 [N, 1, 28, 28] -> `logits`: float32 [N, 10]>"
    images = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    results = [session.run(images), session.run(image=images), session.run({"image": images})]
    for result in results:
        assert np.array_equal(result["logits"], results[0]["logits"])
    assert results[0]["logits"].shape == (2, 10)


def test_a_model_with_two_inputs_asks_for_names(models):
    session = netdsl.Session(models / "two.onnx")
    x = np.ones((1, 2), np.float32)
    assert session.run(a=x, b=x)["both"].shape == (1, 3)
    found = error("E0906", session.run, x)
    assert "expected an array for each of 2 inputs, got one array" in found.message


def test_check_writes_annotations_of_github(tmp_path):
    (tmp_path / "a,b.net").write_text("net n {\n    input x: 8\n    conv 8 k3\n    dens 4\n}")
    out, err = run("check", tmp_path / "a,b.net", "--format", "github", code=1)
    first, second, count = out.splitlines()
    assert first.startswith(f"::error file={tmp_path}/a%2Cb.net,line=3,col=5,title=E04")
    assert second.startswith(f"::error file={tmp_path}/a%2Cb.net,line=4,col=5,title=E0201::there is no layer")
    assert "%0Adid you mean `dense`?" in second
    assert count == "1 net: 2 errors, no warnings"
    assert err == ""


def test_commands_describe_what_they_wrote_as_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrote = json.loads(run("compile", LENET, "--format", "json")[0])
    assert wrote["files"] == [{"path": "lenet5.onnx", "bytes": (tmp_path / "lenet5.onnx").stat().st_size}]
    assert (wrote["params"], wrote["diagnostics"]) == (61706, [])
    assert "E0402" in [entry["code"] for entry in json.loads(run("explain", "--format", "json")[0])]
    assert json.loads(run("explain", "402", "--format", "json")[0])["code"] == "E0402"
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,val_loss\n1,2.0,2.1\n2,1.5,1.7\n")
    assert json.loads(run("plot", "curves", "metrics.csv", "--format", "json")[0]) == {"picture": "curves.png"}
    assert (tmp_path / "curves.png").exists()
    (tmp_path / "n.net").write_text("net n { input x: 1x8x8; flatten -> dense 10; train { epochs 2; batch 600 } }")
    done = json.loads(run("train", "n.net", "--data", "digits", "-o", "r", "--format", "json")[0])
    assert (done["folder"], done["model"], len(done["history"])) == ("r", "r/n.onnx", 2)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("net n {\n    input x: 8\n" + "    dens 4\n" * 57 + "}", "37 more errors"),
        ("net n {\n    input x: 8\n" + "    dense 4 =\n" * 21 + "}", "1 more error"),
        ("".join(f"net n{i} {{ input x: 8 -> ; dens 4 }}\n" for i in range(31)), "11 more errors"),
        ("".join(f"net n{i} {{ input x: 8; dens 4 }}\n" for i in range(31)), "11 more errors"),
        ("net n {\n    input x: 8\n" + "    dens 4\n" * 5000 + "}", "at least 180 more errors"),
    ],
)
def test_check_counts_the_errors_that_it_does_not_show(tmp_path, text, more):
    (tmp_path / "n.net").write_text(text)
    out, err = run("check", tmp_path / "n.net", code=1)
    assert err.count("error[E") == 20
    assert err.rstrip().endswith(f"... and {more}")
    count = int(more.removeprefix("at least ").split()[0])
    assert f": {20 + count} errors, no warnings" in out
    assert json.loads(run("check", tmp_path / "n.net", "--format", "json", code=1)[0])["more"] == count
