"""W01: programs that are legal but suspicious. `--allow CODE` silences a warning."""

from netdsl.reference.codes.entry import Code

WARNINGS = {
    "W0101": Code(
        "part of the input is never seen",
        "The window moves by its stride, and a further step would leave the padded input, so the last rows or "
        "columns do not affect any output. In some published nets this is by design; in a new one it is often a "
        "mistake. Pad, change the stride, or use `ceil=yes` in a pool.",
        "net a { input x: 3x8x8; conv 4 k3 s2 }\n",
    ),
    "W0102": Code(
        "two activations in a row",
        "An activation right after another is rarely meant: `relu -> relu` is one relu. A layer between them "
        "is probably missing.",
        "net a { input x: 8; dense 4 -> relu -> tanh }\n",
    ),
    "W0103": Code(
        "bias before batch norm",
        "Batch norm subtracts the mean of its input, and with it any bias added just before, which is then trained "
        "without effect. Add `bias=no` to the layer, or `default conv bias=no` to the file.",
        "net a { input x: 3x8x8; conv 4 k3 -> bn -> relu }\n",
    ),
    "W0104": Code(
        "dropout after the last layer",
        "Dropout makes a layer's inputs random so that it learns not to rely on any one; after the last layer it "
        "makes the results themselves random. Move it before that layer.",
        "net a { input x: 8; dense 4 -> dropout 0.5 }\n",
    ),
    "W0105": Code(
        "dense on an image",
        "`dense` works only on the last axis, as in PyTorch, so on an image it mixes the columns of each row and "
        "nothing else. Put `flatten` before it to see the whole image.",
        "net a { input x: 3x8x8; dense 4 }\n",
    ),
    "W0106": Code(
        "unused parameter or let",
        "Nothing reads this name, so its value has no effect; usually another name was meant somewhere. Use "
        "it, remove it, or call it `_` where a list must be unpacked.",
        "net a(width = 4) { input x: 8; dense 4 }\n",
    ),
    "W0107": Code(
        "a result that nothing reads",
        "The result of this layer reaches no output, so the compiled model leaves it out: a chain that begins "
        "with `@label` drops the tensor before it, and after an `output` the last tensor is not an output by itself. "
        "Join the two, mark the result with `output`, or remove the layer.",
        "net a { input x: 8; dense 4; @x -> dense 2 }\n",
    ),
    "W0108": Code(
        "weights that are not finite",
        "A parameter of the checkpoint holds NaN or infinite values, or values too large for the parameter's "
        "type, and everything computed with them is useless. Usually a training diverged before it was saved: "
        "use an earlier checkpoint.",
    ),
    "W0109": Code(
        "weights that fit in part",
        "With `--partial` a checkpoint fills the parameters that it has, and the others keep initial values. This is "
        "meant for a net with a new last layer, which is then trained; without training its results are random.",
    ),
    "W0110": Code(
        "images left out",
        "With `--skip-bad` a run continues without the images that cannot be read. The first of them are named, "
        "with the reasons; a class that has lost many is learned worse than the others.",
    ),
    "W0119": Code(
        "a last batch of one sample left out",
        "Batch norm over vectors, or over maps with one position, takes statistics over the batch, which one sample "
        "does not have. If the last batch of an epoch has one sample per process, it is left out; its samples change "
        "from epoch to epoch. Another `batch` may use all samples.",
    ),
}
