"""The rooms of the house know only what lies below them, and heavy packages are imported where they are needed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "netdsl"

BELOW = {
    "netdsl.source": [],
    "netdsl.diagnostics": ["netdsl.source"],
    "netdsl.table": ["netdsl.diagnostics"],
    "netdsl.terminal": ["netdsl.diagnostics"],
    "netdsl.naming": ["netdsl.diagnostics", "netdsl.source"],
    "netdsl.ir": ["netdsl.ir", "netdsl.show", "netdsl.source", "netdsl.diagnostics", "netdsl.naming"],
    "netdsl.outputs": ["netdsl.diagnostics"],
    "netdsl.files": ["netdsl.diagnostics", "netdsl.outputs"],
    "netdsl.resources": ["netdsl.files"],
    "netdsl.syntax": ["netdsl.syntax", "netdsl.source", "netdsl.diagnostics", "netdsl.files", "netdsl.resources",
                      "netdsl.interpreter", "netdsl.naming"],
    "netdsl.arguments": ["netdsl.ir", "netdsl.show"],
    "netdsl.packages": ["netdsl.diagnostics"],
    "netdsl.spans": [],
    "netdsl.layer": ["netdsl.ir", "netdsl.arguments", "netdsl.spans"],
    "netdsl.layers": ["netdsl.layers", "netdsl.layer", "netdsl.spans", "netdsl.ir", "netdsl.arguments", "netdsl.show",
                      "netdsl.backends.onnx_proto"],
    "netdsl.recipe": ["netdsl.arguments", "netdsl.ir.meaning"],
    "netdsl.elaborate": ["netdsl.elaborate", "netdsl.layers", "netdsl.layer", "netdsl.ir", "netdsl.arguments",
                         "netdsl.syntax", "netdsl.source", "netdsl.diagnostics", "netdsl.recipe", "netdsl.counts",
                         "netdsl.show", "netdsl.interpreter", "netdsl.resources", "netdsl.naming"],
    "netdsl.passes": ["netdsl.passes", "netdsl.layers", "netdsl.layer", "netdsl.ir", "netdsl.diagnostics"],
    "netdsl.backends": ["netdsl.backends", "netdsl.layer", "netdsl.ir", "netdsl.diagnostics", "netdsl.counts",
                        "netdsl.files", "netdsl.outputs", "netdsl.version", "netdsl.weights", "netdsl.naming"],
    "netdsl.checkpoints": ["netdsl.checkpoints", "netdsl.ir", "netdsl.diagnostics", "netdsl.files", "netdsl.weights"],
    "netdsl.agreement": ["netdsl.agreement", "netdsl.runtime", "netdsl.backends", "netdsl.compiler", "netdsl.layers",
                         "netdsl.ir", "netdsl.diagnostics", "netdsl.table", "netdsl.weights"],
    "netdsl.eject": ["netdsl.eject", "netdsl.backends.torch", "netdsl.backends.torch_modules", "netdsl.elaborate",
                     "netdsl.naming", "netdsl.layer", "netdsl.ir", "netdsl.syntax", "netdsl.interpreter"],
    "netdsl.training": ["netdsl.training", "netdsl.recipe", "netdsl.ir", "netdsl.files", "netdsl.outputs",
                        "netdsl.diagnostics", "netdsl.source", "netdsl.runtime", "netdsl.passes", "netdsl.backends",
                        "netdsl.weights",
                        "netdsl.version", "netdsl.compiler", "netdsl.arguments", "netdsl.layer", "netdsl.elaborate",
                        "netdsl.parallel", "netdsl.show", "netdsl.written", "netdsl.terminal",
                        "netdsl.pictures.curves", "netdsl.pictures.drawing"],
    "netdsl.evaluation": ["netdsl.evaluation", "netdsl.runtime", "netdsl.training.data.reading",
                          "netdsl.training.data.splits", "netdsl.training.data.fingerprints", "netdsl.training.record",
                          "netdsl.diagnostics", "netdsl.files", "netdsl.ir.meaning", "netdsl.table"],
    "netdsl.pictures": ["netdsl.pictures", "netdsl.ir.types", "netdsl.files", "netdsl.diagnostics"],
    "netdsl.inspection": ["netdsl.inspection", "netdsl.pictures", "netdsl.evaluation", "netdsl.runtime",
                          "netdsl.ir.types", "netdsl.files", "netdsl.diagnostics", "netdsl.table"],
}  # fmt: skip
"""What each room may import of netdsl."""

EVERYWHERE = ["netdsl.packages"]
"""What every room may import: optional packages are for whoever needs them."""

HEAVY = {
    "numpy": ["netdsl.agreement", "netdsl.backends", "netdsl.checkpoints", "netdsl.evaluation",
              "netdsl.inspection", "netdsl.pictures", "netdsl.weights",
              "netdsl.runtime", "netdsl.training.data"],
    "onnx": ["netdsl.agreement.onnx_run", "netdsl.backends", "netdsl.checkpoints.onnx_model",
             "netdsl.inspection"],
    "matplotlib": [],
    "safetensors": ["netdsl.checkpoints.safetensors_file", "netdsl.training.run"],
    "ml_dtypes": ["netdsl.checkpoints"],
    "onnxruntime": [],
    "PIL": [],
    "sklearn": [],
    "kornia": ["netdsl.training.augment"],
    "torch": ["netdsl.agreement.torch_run", "netdsl.backends.torch", "netdsl.backends.torch_modules",
              "netdsl.training"],
}  # fmt: skip
"""Where a package may be imported when a module is; elsewhere a function imports what it needs."""


def imports(path, *, top_level_only):
    """The modules that a file imports when it is run; imports for the type checker are none."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        or (top_level_only and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path):
    return ".".join(("netdsl", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def within(name, rooms):
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("room", BELOW)
def test_rooms_know_only_what_lies_below(room):
    files = [path for path in FILES if within(module_name(path), [room])]
    assert files
    for path in files:
        own = [name for name in imports(path, top_level_only=False) if within(name, ["netdsl"])]
        assert [name for name in own if not within(name, [*BELOW[room], *EVERYWHERE])] == [], path


@pytest.mark.parametrize("package", HEAVY)
def test_heavy_packages_are_imported_late(package):
    for path in FILES:
        if not within(module_name(path), HEAVY[package]):
            assert [n for n in imports(path, top_level_only=True) if within(n, [package])] == [], path
