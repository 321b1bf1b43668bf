"""What random programs have besides layers: groups, blocks, joins, loops, conditions, references.

Each function takes the writer, the current shape and how many bodies may stand within each other in it, and gives a
text and the shape that it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from program_layers import conv, deconv, dense, scaling
from program_sizes import same, slide

if TYPE_CHECKING:
    from program_sizes import Size

MAX_UNITS = 600
"""Units of a dense layer that brings one shape to another."""
REAL = ("relu", "identity", "tanh")
"""Layers at the end of a `skip`, whose body must not be without any."""


@dataclass
class Label:
    """Something to refer to: the shape that reached it (None where there is nothing to reuse) and the one it left."""

    before: tuple[Size, ...] | None
    after: tuple[Size, ...]


@dataclass
class Here:
    """What can be named at a place.

    Attributes:
        labels: by dotted path, as seen from here.
        numbers: parameters, `let` names and loop variables.
        parameters: those of the block or net around, which grow while it is written; None where there are none.
        can_label: not in a loop that opens no scope, where every turn would take the same label.
    """

    labels: dict[str, Label] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] | None = None
    can_label: bool = True

    def body(self, *, can_label=True):
        """A body that opens no scope: its labels are those of the scope around, its numbers are its own."""
        return Here(self.labels, dict(self.numbers), self.parameters, self.can_label and can_label)

    def scope(self):
        """A body that opens a scope: what it labels is seen from outside under its path only."""
        return Here(dict(self.labels), dict(self.numbers), self.parameters)


# ------------------------------------------------------------------------------------------------ groups and blocks


def chains(line):
    """Whether a line is a single chain for sure."""
    return ";" not in line and "\n" not in line and line.split()[0] not in ("let", "default", "param", "expect", "aux")


def group(w, x, depth):
    """`name: { ... }`, which opens a scope, or a group without a name, which does not."""
    brackets = w.pick(["{}", "[]"])
    if not w.here.can_label or w.chance():
        lines, y = w.inside(w.here.body(), w.sequence, x, depth)
        return w.braces(lines, brackets), y
    inner, name = w.here.scope(), w.name()
    lines, y = w.inside(inner, w.sequence, x, depth)
    w.export(name, inner)
    w.here.labels[name] = Label(x, y)
    return f"{name}: {w.braces(lines, brackets)}", y


def block(w, x, depth):
    """A call of a new block; twice where it leaves the shape it is given."""
    name, here = f"{w.name('b')}_", Here(parameters={})
    tensors = [path for path, label in w.here.labels.items() if same(label.after, x)]
    first, last, given, lines = [], [], [], []
    if tensors and w.chance(3):
        first, given = ["other"], [f"@{w.pick(tensors)}"]
        here.labels["other"] = Label(None, x)
        lines.append("add { @other\nidentity }")
    if w.chance(3):
        last = ["act = relu"]
        lines.append("act")
    part, y = w.inside(here, w.sequence, x, depth)
    formals, arguments = w.signature(here.parameters)
    formals = ", ".join([*first, *filter(None, [formals]), *last])
    body = [*lines, *part]
    text = f"= {body[0]}" if len(body) == 1 and chains(body[0]) else w.braces(body, w.pick(["{}", "[]"]))
    w.blocks.append(f"block {name}({formals}) {text}")
    act = w.pick([[], ["act=tanh"], ["act=silu"]]) if last else []
    call = " ".join([name, *given, *arguments, *act])
    text, y = w.labelled(x, call, y)
    return (f"{text} -> {call}" if same(x, y) and w.chance() else text), y


def refer(w, x, depth):
    """Another label's tensor as the current one, or a label's layers once more."""
    again = [path for path, label in w.here.labels.items() if label.before is not None and same(label.before, x)]
    if again and w.chance():
        path = w.pick(again)
        return f"reuse {path}", w.here.labels[path].after
    if not w.here.labels:
        return group(w, x, depth)
    path = w.pick(list(w.here.labels))
    return f"{{\n@{path}\n}}", w.here.labels[path].after


# ------------------------------------------------------------------------------------------------ joins


def bridge(w, x, y):
    """Layers from one shape to another; None where there are none."""
    if same(x, y):
        return w.pick(["identity", "relu", "dropout 0.3"])
    if len(x) == len(y) > 1 and same(x[1:], y[1:]) and x[0].known and y[0].known:
        return f"conv {y[0].value} k1"
    if not all(size.known for size in y) or prod(size.value for size in y) > MAX_UNITS:
        return None
    if len(x) == len(y) > 2 and x[0].known:
        sides = ", ".join(str(size.value) for size in y[1:])
        return f"global_avgpool -> upsample ({sides}) -> conv {y[0].value} k1"
    if all(size.known for size in x):
        sizes = ", ".join(w.number(size.value) for size in y)
        return f"flatten -> dense {prod(size.value for size in y)} -> reshape [{sizes}]"
    return None


def branch(w, x, y, depth):
    """A chain from one shape to another."""
    sources = [f"@{name}" for name, label in w.here.labels.items() if same(label.after, y)]
    if sources and w.chance(3):
        return w.pick(sources)
    seen = dict(w.here.labels)
    lines, z = w.inside(w.here.body(), w.sequence, x, depth)
    end = bridge(w, z, y)
    if end is not None:
        return w.braces([*lines, end])
    forget_all_but(w, seen)
    return bridge(w, x, y)


def forget_all_but(w, labels):
    """The labels of a body that is not written after all are none."""
    w.here.labels.clear()
    w.here.labels.update(labels)


def skip(w, x, depth):
    """A body whose result fits what reaches it, or a shortcut that fits the body."""
    form = w.upto(3)
    if form < 2:
        condition = w.pick([" if yes", f" if {len(x)} == in.rank", " if in.rank > 9"]) if form else ""
        return f"skip{condition} {w.braces([branch(w, x, x, depth), w.pick(REAL)])}", x
    if form == 2 and len(x) > 1 and x[0].known and all(size.least > 2 for size in x[1:]):
        width, stride = w.upto(6, 1), w.pick([1, 2])
        y = (w.size(width), *(slide(size, 1, stride) for size in x[1:]))
        body = f"{{ conv {width} k3 p1 s{stride} -> {w.pick(['bn', 'relu', 'gelu'])} }}{w.pick([' ', chr(10)])}"
        condition = w.pick(["", f" if in.channels != {width} or {stride} > 1"])
        return f"skip {body}shortcut{condition} {{ conv {width} k1 s={w.number(stride)} }}", y
    seen = dict(w.here.labels)
    lines, y = w.inside(w.here.body(), w.sequence, x, depth)
    way = bridge(w, x, y)
    if way is not None:
        return f"skip {w.braces([*lines, w.pick(REAL)])} shortcut {{ {way} }}", y
    forget_all_but(w, seen)
    return f"skip {w.braces([branch(w, x, x, 0), w.pick(REAL)])}", x


def join(w, x, depth):
    """Several branches of one shape."""
    kind, here = w.pick(["add", "mul", "max", "mean"]), w.here.body()
    branches = [w.inside(here, branch, w, x, x, depth) for _ in range(w.upto(3, 1))]
    if w.chance(3):
        turn = w.inside(here.body(can_label=False), branch, w, x, x, 0)
        branches.append(f"{w.pick(['repeat 2', 'for _ in 1..2'])} {w.braces([turn])}")
    if w.here.can_label and w.chance(4) and all(size.known for size in x):
        name = w.name()
        w.here.labels[name] = Label(None, x)
        return w.braces([f"param {name}: {w.shape(x)}", f"{kind} {w.braces([*branches, f'@{name}'])}"]), x
    return f"{kind} {w.braces(branches)}", x


def concat(w, x, depth):
    """Several branches of one shape but for an axis."""
    axes = [i for i, size in enumerate(x) if size.known]
    if not axes:
        return f"concat {w.braces([w.inside(w.here.body(), branch, w, x, x, depth)])}", x
    axis, here = w.pick(axes), w.here.body()
    branches, total = [], 0
    for _ in range(w.upto(3, 1)):
        y = (*x[:axis], w.size(w.upto(4, 1)), *x[axis + 1 :])
        y = x if bridge(w, x, y) is None else y
        branches.append(w.inside(here, branch, w, x, y, depth))
        total += y[axis].value
    given = f" axis={w.pick([axis, axis - len(x)])}" if axis or w.chance() else ""
    return f"concat{given} {w.braces(branches)}", (*x[:axis], w.size(total), *x[axis + 1 :])


def gate(w, x, depth):
    """Squeeze and excitation."""
    if len(x) < 2 or not x[0].known:
        return skip(w, x, depth)
    gated = f"global_avgpool -> conv {w.upto(4, 1)} k1 -> relu -> conv {x[0].value} k1 -> sigmoid"
    branches = [gated, branch(w, x, x, depth)] if w.chance() else ["identity", gated]
    return f"mul {w.braces(branches)}", x


# ------------------------------------------------------------------------------------------------ control


def loop(w, x, depth):
    """A body that is carried out several times, and so leaves the shape that it is given."""
    turns, counter, value = w.upto(3), w.name(), w.upto(4, 1)
    pairs = ", ".join([f"({value}, 7)"] * turns)
    form, head = w.pick([
        ("repeat", f"repeat {w.number(turns)}"),
        ("count", f"for {counter} in 1..{turns}"),
        ("range", f"for {counter} in range({turns})"),
        ("pairs", f"for {counter}, _ in [{pairs}]"),
    ])  # fmt: skip
    labelled = w.here.can_label and w.chance()
    if form == "count" and turns and labelled and len(x) > 1 and x[0].known:
        for turn in range(1, turns + 1):
            w.here.labels[f"{counter}_{turn}"] = Label(None, (w.size(turn + 1), *x[1:]))
        return f"{head} {{\n{counter}_{{{counter}}}: conv {counter} + 1 k1\n}}", (w.size(turns + 1), *x[1:])
    inner = w.here.scope() if labelled else w.here.body(can_label=False)
    if form == "pairs":
        inner.numbers[counter] = value
    body = w.braces([w.inside(inner, branch, w, x, x, depth)], w.pick(["{}", "[]"]))
    if not labelled:
        return f"{head} {body}", x
    name = w.name()
    for turn in range(turns):
        w.export(f"{name}.{turn}", inner)
    return f"{name}: {head} {body}", x


def condition(w, x, depth):
    """A body that is carried out, among others that are not and need not fit."""
    lines, y = w.inside(w.here.body(), w.sequence, x, depth)
    chosen, dead = w.braces(lines), "{ conv 99 k99 }"
    forms = [
        f"if in.rank == {len(x)} {chosen}",
        f"if in.rank < {len(x)} {dead} else {chosen}",
        f"if not in.rank == {len(x)} {dead} else if in.shape == in.shape and yes {chosen} else {dead}",
    ]
    return w.pick(forms), y


def scaled(w, x, depth):  # noqa: ARG001 - as all parts are called
    """Layers with weights among layers that scale channels, which -O1 folds into each other; some are read twice."""
    chain, read, y = [], None, x
    for _ in range(w.upto(4, 2)):
        made = w.pick([conv, deconv, dense])(w, y) if w.chance() else scaling(w, y)
        if made is None or prod(size.most for size in made[1]) > MAX_UNITS:
            continue
        text, y = w.labelled(y, *made)
        read = text.partition(":")[0] if ":" in text else read
        chain.append(text)
    if read is not None and same(w.here.labels[read].after, y) and w.chance():
        chain.append(f"max {{ tanh ; @{read} }}")
    return " -> ".join(chain or ["relu"]), y


PARTS = (group, scaled, skip, join, concat, gate, loop, condition, block, refer)
