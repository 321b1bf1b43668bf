"""Random programs of the language, well typed by construction.

A `Writer` knows the shape at every point of what it writes. What it writes of layers is in `program_layers`, of joins,
blocks and loops in `program_parts`; there each function takes the writer and the current shape, and gives a text and
the shape that it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from hypothesis import strategies as st
from program_layers import LAYERS
from program_parts import PARTS, Here, Label, chains
from program_sizes import Size, written

MAX_ELEMENTS = 1200
"""No tensor of a sample has more."""


@dataclass
class Program:
    """A program with a net `main`, and the shapes of its inputs and outputs by name.

    Attributes:
        runs: what the letters stand for, each time that the net is run.
    """

    text: str
    inputs: dict[str, tuple[Size, ...]]
    outputs: dict[str, tuple[Size, ...]]
    runs: list[dict[str, int]]


class Writer:
    """Writes one program. Each choice takes a byte, and 0 (as behind the last byte) chooses what is simplest."""

    def __init__(self, choices):
        self.choices = iter(choices)
        self.blocks, self.outputs = [], {}
        self.here = Here()
        self.count = 0

    # ------------------------------------------------------------------------------------------------ choices

    def upto(self, most, least=0):
        return least + next(self.choices, 0) % (most - least + 1)

    def pick(self, options):
        return options[self.upto(len(options) - 1)]

    def chance(self, one_in=2):
        return self.upto(one_in - 1) == one_in - 1

    def name(self, kind="n"):
        """A new name; an unlabelled call of the block `b1_` is called `b1_1`, and so never as anything else."""
        self.count += 1
        return f"{kind}{self.count}"

    def number(self, value):
        """A whole number as an expression, which may be made of names."""
        names = [name for name, number in self.here.numbers.items() if number == value]
        if self.here.parameters is not None and self.chance(8):
            name = self.name()
            self.here.parameters[name] = self.here.numbers[name] = value
            return name
        forms = (
            *[str(value)] * 5,
            *names[-2:],
            f"({value + 2} - 2)",
            f"({2 * value + 1} // 2)",
            f"max({value}, {value - 1})",
            f"({value} if {value} > -1 or no else {value + 9})",
            f"len([{', '.join(['0'] * value)}])" if value < 5 else str(value),
            f"ceil({value} - 1/3)",
            f"[{value}, {value + 1}][0]",
            f"({value / 8} * 2**3)",
        )
        return self.pick(forms)

    def size(self, value):
        """A size that is the same in every run."""
        return Size((value,) * len(self.runs), str(value))

    # ------------------------------------------------------------------------------------------------ the program

    def program(self):
        """A net with everything it needs."""
        spatial = self.pick([2, 2, 2, 1, 3])
        self.multiple, self.runs = self.pick([(1, [{}])] * 3 + [
            (1, [{"H": 8, "W": 8}, {"H": 9, "W": 11}]),
            (1, [{"H": 9, "W": 8}, {"H": 12, "W": 11}]),
            (4, [{"H": 8, "W": 12}, {"H": 12, "W": 16}]),
        ])  # fmt: skip
        where = ""
        if "H" in self.runs[0]:
            letters = "HWH"[:spatial]
            sides = [Size(tuple(run[letter] for run in self.runs), letter) for letter in letters]
            where = self.where(sorted({*letters}))
        else:
            sides = [self.size(self.upto(6 if spatial == 3 else 12, 3)) for _ in range(spatial)]
        x = (self.size(self.upto(6, 1)), *sides)
        inputs, lines = {"image": x}, [f"input image: {self.shape(x)}{where}"]
        if self.chance(4):
            inputs["other"] = x
            lines += [f"input other: {self.shape(x)}", "@image"]
        self.here.labels.update((name, Label(None, shape)) for name, shape in inputs.items())
        if self.chance(4):
            lines.append(f"default {self.pick(['conv bias=no', 'bn eps=1e-3', 'avgpool count_pad=no'])}")
        variant = self.chance(4)
        self.here.parameters = {} if variant else None
        body, x = self.net_body(x)
        formals, arguments = self.signature(self.here.parameters or {})
        net = self.braces([*lines, *body])
        text = f"net base({formals}) {net}\nnet main = base({', '.join(arguments)})" if variant else f"net main {net}"
        return Program("\n".join([*self.blocks, text]), inputs, self.outputs or {"output": x}, self.runs)

    def where(self, letters):
        """Conditions that let the sizes of the first run through, which all layers fit, and larger ones."""
        conditions = [f"{letter} >= {self.runs[0][letter]}" for letter in letters]
        if self.multiple > 1:
            conditions += [f"{letter} % {self.multiple} == 0" for letter in letters]
        return f" where {', '.join(conditions)}"

    def net_body(self, x):
        """The statements of a net: sequences with outputs and promises between them, and a layer at the end."""
        lines = []
        for _ in range(self.upto(3, 1)):
            part, x = self.sequence(x, 2)
            lines += part
            if self.chance(4):
                if chains(lines[-1]) and self.chance():
                    lines[-1] += f" -> {self.output(x)}"
                else:
                    lines.append(self.output(x))
            if self.chance(6) and all(size.known for size in x):
                lines.append(f"aux {self.name()}: {{ flatten -> dense 2 }}")
            if self.chance() and all("?" not in size.formula for size in x):
                lines.append(f"expect {written(x)}")
        last, x = self.layer(x)
        return [*lines, last, *([self.output(x)] if self.outputs else [])], x

    def output(self, x):
        name = self.name()
        self.outputs[name] = x
        return f"output {name}"

    def signature(self, parameters):
        """Parameters of a block or net, those with a default last, and the arguments that give them their values."""
        formals, arguments, optional = [], [], False
        for name, value in parameters.items():
            optional = optional or self.chance(3)
            default = self.pick([value + 1, value]) if optional else None
            formals.append(name if default is None else f"{name} = {default}")
            if default != value:
                arguments.append(f"{name}={value}" if optional else str(value))
        return ", ".join(formals), arguments

    def shape(self, x):
        """A shape as `input` and `param` take it."""
        return "x".join(size.formula for size in x) if self.chance() else written(x)

    # ------------------------------------------------------------------------------------------------ bodies

    def sequence(self, x, depth):
        """Statements, and the shape they leave."""
        lines = []
        for _ in range(self.upto(3, 1)):
            if self.chance(6):
                name, value = self.name(), self.upto(6, 1)
                lines.append(f"let {name} = {self.number(value)}")
                self.here.numbers[name] = value
            chain = []
            for _ in range(self.upto(3, 1)):
                text, x = self.element(x, depth)
                chain.append(text)
            lines.append(self.pick(["\n", " -> ", " ->\n", "\n-> ", " ; "]).join(chain))
        return lines, x

    def element(self, x, depth):
        """A layer, or something that has a body with at most `depth` more inside."""
        if depth and self.chance():
            return self.pick(PARTS)(self, x, depth - 1)
        return self.labelled(x, *self.layer(x))

    def layer(self, x):
        """Any layer that takes such an input."""
        for _ in range(5):
            made = self.pick(LAYERS)(self, x)
            if made is not None and prod(size.most for size in made[1]) <= MAX_ELEMENTS:
                return made
        return "relu", x

    def labelled(self, x, text, y):
        """A layer or a call, with a label now and then."""
        if not self.here.can_label or not self.chance():
            return text, y
        name = self.name()
        self.here.labels[name] = Label(x, y)
        return f"{name}: {text}", y

    def inside(self, here, write, *arguments):
        """What `write` makes in a body with other names."""
        outer, self.here = self.here, here
        try:
            return write(*arguments)
        finally:
            self.here = outer

    def export(self, name, inner):
        """What was labelled in a scope can be referred to by its path."""
        new = {path: label for path, label in inner.labels.items() if path not in self.here.labels}
        self.here.labels.update({f"{name}.{path}": label for path, label in new.items()})

    def braces(self, lines, brackets="{}"):
        return "\n".join([brackets[0], *lines, brackets[1]])


programs = st.builds(lambda choices: Writer(choices).program(), st.binary(min_size=500, max_size=500))
