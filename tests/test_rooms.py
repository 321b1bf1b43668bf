"""The rooms of the house know only what lies below them, and heavy packages are imported where they are needed."""

import ast
import re
from collections import Counter
from pathlib import Path

import architecture
import pytest

ROOT = Path(__file__).parent.parent / "netdsl"

BELOW = {
    "base": [],
    "syntax": ["base"],
    "ir": ["base"],
    "layers": ["ir", "base", "backends.onnx.proto"],
    "recipe": ["layers", "ir"],
    "analysis": ["layers", "ir", "syntax.tree", "base"],
    "elaborate": ["analysis.counts", "recipe", "layers", "ir", "syntax", "base"],
    "passes": ["layers", "ir", "base"],
    "weights": ["passes", "ir", "base"],
    "backends.onnx": ["weights", "analysis.counts", "layers.base", "ir", "base"],
    "backends.torch": ["weights", "layers.base", "ir", "base"],
    "backends.torch_source": ["compiler", "backends.torch", "elaborate", "layers.base", "ir", "syntax", "base"],
    "data": ["weights.npz", "ir", "base"],
    "runtime": ["data", "weights.npz", "ir", "base"],
    "plots": ["ir.types", "base"],
    "training": ["plots.curves", "plots.drawing", "runtime", "data", "backends.onnx", "backends.torch", "weights",
                 "compiler", "passes", "elaborate", "recipe", "layers", "ir", "base"],
    "evaluation": ["training.record", "runtime", "data", "ir", "base"],
    "verification": ["compiler", "runtime", "backends.onnx", "backends.torch", "weights", "layers", "ir", "base"],
    "pages": ["evaluation", "plots", "runtime", "ir.types", "base"],
    "reference": ["compiler", "analysis.counts", "recipe", "layers", "base"],
}  # fmt: skip
"""What each room may import of netdsl when it is run, beside itself."""

HEAVY = {
    "numpy": ["backends", "data", "evaluation", "pages", "plots", "runtime", "training", "verification", "weights"],
    "onnx": ["backends.onnx", "pages", "verification.onnx_run", "weights.onnx_model"],
    "matplotlib": [],
    "safetensors": ["training.run", "weights.safetensors_file"],
    "ml_dtypes": ["weights"],
    "onnxruntime": [],
    "PIL": [],
    "sklearn": [],
    "kornia": ["training.augment"],
    "torch": ["backends.torch", "training", "verification.torch_run"],
}
"""Where a package may be imported when a module is; elsewhere a function imports what it needs."""


def imports(tree, *, top_level_only):
    """The modules that a file imports when it is run; imports for the type checker are none."""
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
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def within(name, rooms):
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


TREES = {module_name(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
"""Every file of the package, parsed, by the name of its module below netdsl."""


def test_every_room_has_a_rule():
    rooms = {name.split(".")[0] for name in TREES if "." in name} - {"cli"}  # commands may call all
    assert rooms == {room.split(".")[0] for room in BELOW}
    assert {path.stem for path in ROOT.glob("*.py")} == {"__init__", "__main__", "api", "compiler"}


@pytest.mark.parametrize("room", BELOW)
def test_rooms_know_only_what_lies_below(room):
    trees = {name: tree for name, tree in TREES.items() if within(name, [room])}
    assert trees
    for name, tree in trees.items():
        own = [path.removeprefix("netdsl.") for path in imports(tree, top_level_only=False) if within(path, ["netdsl"])]
        assert [path for path in own if not within(path, [room, *BELOW[room]])] == [], name


@pytest.mark.parametrize("package", HEAVY)
def test_heavy_packages_are_imported_late(package):
    for name, tree in TREES.items():
        if not within(name, HEAVY[package]):
            assert [path for path in imports(tree, top_level_only=True) if within(path, [package])] == [], name


@pytest.mark.parametrize("stage", ["elaborate", "lint", "optimize", "load_program"])
def test_every_stage_is_called_in_one_place(stage):
    calls = [
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == stage
    ]
    assert {*calls} == {"compiler"}
    assert len(calls) == 1 or stage == "load_program"  # a text or a file


def test_no_files_import_each_other():
    graph = {name: [*_files(tree)] for name, tree in TREES.items()}
    circles = {name for name in graph if name in _reached(graph, name)}
    assert {name for name in circles if not within(name, ["backends.torch_source"])} == set()


def _files(tree):
    """The files of the package that a file imports, for its types as well."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for path in (name.removeprefix("netdsl.") for name in names if within(name, ["netdsl"])):
            yield path if path in TREES else path.rpartition(".")[0]


def _reached(graph, start):
    found, pending = set(), [*graph[start]]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += graph.get(name, ())
    return found


TOP_LEVEL = [(name, statement) for name, tree in TREES.items() for statement in tree.body]
"""Every statement that stands in no class and no function, with the name of its module."""


def test_the_name_of_a_class_exists_once():
    names = Counter(
        statement.name
        for module, statement in TOP_LEVEL
        if isinstance(statement, ast.ClassDef) and module != "backends.torch.modules"  # those stand in for PyTorch's
    )
    assert [name for name, times in names.items() if times > 1 and not name.startswith("_")] == []


def test_a_limit_says_what_it_limits_and_exists_once():
    assigned = [name.id for _, statement in TOP_LEVEL if isinstance(statement, ast.Assign)
                for target in statement.targets for name in ast.walk(target) if isinstance(name, ast.Name)]  # fmt: skip
    limits = Counter(name for name in assigned if re.match(r"_?(MAX|MIN)_[A-Z]", name))
    assert len(limits) > 80
    assert [name for name, times in limits.items() if times > 1] == []
    others = r"_?(MAX|MIN|MOST|LEAST|LARGEST|SMALLEST|LONGEST|SHORTEST|DEEPEST|HIGHEST|FEW|SHORTLY)(_[A-Z]+)*"
    assert [name for name in assigned if re.fullmatch(others, name) and name not in limits] == []


def test_the_tree_of_rooms_is_current():
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert page == architecture.with_tree(page), "run `python tools/architecture.py`"
    rooms = {room.split("/")[0] for room in architecture.ROOMS}
    assert rooms == {path.name for path in ROOT.iterdir() if path.name not in ("__pycache__", "py.typed", "grammars")}
