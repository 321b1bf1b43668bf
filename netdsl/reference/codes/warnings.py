"""W01: what is legal and suspicious. `--allow CODE` silences one."""

from netdsl.reference.codes.entry import Code

WARNINGS = {
    "W0101": Code(
        "part of the input is never seen",
        "The window moves by its stride, and a further step would leave the padded input, so the last rows or "
        "columns reach no output. In some published nets this is so by design; in a new one it is often a mistake. "
        "Pad, change the stride, or use `ceil=yes` in a pool.",
        "net a { input x: 3x8x8; conv 4 k3 s2 }\n",
    ),
    "W0102": Code(
        "two activations in a row",
        "An activation right after another rarely means anything: `relu -> relu` is one relu. A layer between them "
        "has probably been lost.",
        "net a { input x: 8; dense 4 -> relu -> tanh }\n",
    ),
    "W0103": Code(
        "bias before batch norm",
        "Batch norm subtracts the mean of its input, and with it any bias added just before, which is then trained "
        "for nothing. Add `bias=no` to the layer, or `default conv bias=no` to the file.",
        "net a { input x: 3x8x8; conv 4 k3 -> bn -> relu }\n",
    ),
    "W0104": Code(
        "dropout after the last layer",
        "Dropout makes a layer's inputs uncertain so that it learns not to rely on one; after the last layer it "
        "makes the results themselves random. Move it before that layer.",
        "net a { input x: 8; dense 4 -> dropout 0.5 }\n",
    ),
    "W0105": Code(
        "dense on an image",
        "`dense` works on the last axis alone, as in PyTorch, so on an image it mixes the columns of each row and "
        "nothing else. Put `flatten` before it to see the whole image.",
        "net a { input x: 3x8x8; dense 4 }\n",
    ),
    "W0106": Code(
        "unused parameter or let",
        "Nothing reads this name, so its value changes nothing; most often another name was meant somewhere. Use "
        "it, drop it, or call it `_` where a list must be unpacked.",
        "net a(width = 4) { input x: 8; dense 4 }\n",
    ),
    "W0107": Code(
        "a result that nothing reads",
        "What this layer computes reaches no output, so that the compiled model does without it: a chain that begins "
        "with `@label` loses the tensor before it, and behind an `output` the last tensor is none by itself. Join the "
        "two, mark the result by `output`, or drop the layer.",
        "net a { input x: 8; dense 4; @x -> dense 2 }\n",
    ),
    "W0108": Code(
        "weights that are not finite",
        "A parameter of the checkpoint holds NaN or infinite values, or such that are too large for the parameter's "
        "type, and whatever is computed with them is of no use. Most often a training diverged before it was saved: "
        "take an earlier checkpoint.",
    ),
    "W0109": Code(
        "weights that fit in part",
        "With `--partial` a checkpoint gives the parameters that it has, and the others keep initial values. That is "
        "meant for a net with a new last layer, which is then trained; without training its results are a guess.",
    ),
    "W0110": Code(
        "images left out",
        "With `--skip-bad` a run goes on without the images that cannot be read. The first of them are named, "
        "with what is wrong; a class that has lost many is learned worse than the others.",
    ),
    "W0119": Code(
        "a last batch of one sample left out",
        "Batch norm over vectors, or maps of one position, takes the statistics of a batch, which one sample has not. "
        "Where the last batch of an epoch would have one sample of each process, it is left out; which samples these "
        "are changes from epoch to epoch. Another `batch` takes all.",
    ),
}
