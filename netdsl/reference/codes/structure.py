"""E05 structure, E06 promises, E07 limits, E08 recipes."""

from netdsl.reference.codes.entry import Code

STRUCTURE = {
    "E0501": Code(
        "net has no input",
        "A net begins with its inputs, and nothing can be inferred without their shapes. Begin its body with an "
        "`input`, without the batch: `input image: 3x224x224`.",
        "net a { let width = 4 }\n",
    ),
    "E0502": Code(
        "nothing to work on",
        "A layer takes the tensor that arrives at its place, but there is none: no `input` comes before it, or the "
        "body around it gets none. Put the `input` first, or start the chain from a label: `@image -> conv 8 k3`.",
        "net a { conv 4 k3; input x: 3x8x8 }\n",
    ),
    "E0503": Code(
        "net computes nothing",
        "The net's result is its unchanged input. Add a layer, or name the result with `output`.",
        "net a { input x: 3x8x8 }\n",
    ),
    "E0504": Code(
        "skip without layers",
        "A `skip` adds the result of its body to the tensor itself. With no layers in the body, or a "
        "`repeat 0`, that would silently double the tensor. Write the layers, remove the skip, or give it a condition: "
        "`skip if n > 0 { ... }`.",
        "net a { input x: 3x8x8; skip { } }\n",
    ),
    "E0505": Code(
        "join without branches",
        "Every chain in the body of `concat`, `add`, `mul`, `max` or `mean` is a branch, and there must be at least "
        "one. If loops or conditions make them, check that they make some.",
        "net a { input x: 3x8x8; concat { } }\n",
    ),
    "E0506": Code(
        "output named twice",
        "The outputs of a model are distinguished by their names. Rename one of them.",
        "net a { input x: 8; dense 4; output y; dense 2; output y }\n",
    ),
    "E0507": Code(
        "statement not allowed here",
        "`input`, `assert`, `labels` and `train` concern the whole net and stand in its own body, not in a "
        "block; a tensor by name (`@x`) starts a chain or is an argument, and cannot stand within a chain.",
        "block b { input x: 8; dense 4 }\nnet a { input y: 8; b }\n",
    ),
    "E0601": Code(
        "assertion false",
        "An `assert` promises something of the net, such as its number of parameters, but it does not hold. The "
        "message shows the true value. Either a layer is not as it was meant, or the promise is out of date.",
        "net a { input x: 8; dense 4; assert params == 40 }\n",
    ),
    "E0602": Code(
        "assertion depends on unknown sizes",
        "The condition is true for some sizes of the input and false for others, so it cannot be promised. Assert the "
        "number of parameters, which never depends on them, say more about the sizes (`where H >= 32`), or fix them.",
        "net a { input x: 3xHxW; conv 4 k3; assert macs < 5e6 }\n",
    ),
    "E0701": Code(
        "net too large",
        "The work of building a net has a limit, which a net of some 20,000 layers reaches, as do some 100,000 turns "
        "of a loop. A `repeat` with a wrong expression as its count is the usual cause.",
    ),
    "E0702": Code(
        "calls nested too deep",
        "The depth of blocks that call blocks is limited; a block that calls itself must stop at some condition. "
        "Use `repeat` or `for` for repetition.",
        "block b { relu -> b }\nnet a { input x: 8; b }\n",
    ),
    "E0703": Code(
        "number or tensor too large",
        "A number, a list, a weight or a tensor is larger than any machine can hold, so it is refused before it is "
        "created. A factor that is multiplied twice, or a missing pool before `flatten`, is the usual cause.",
        "net a { input x: 8; dense 99999999999 }\n",
    ),
    "E0704": Code(
        "too many repetitions",
        "A `repeat` or `for` has more turns than any net needs. Correct the count.",
        "net a { input x: 8; repeat 99999999 { relu } }\n",
    ),
    "E0801": Code(
        "unknown entry of a recipe",
        "A `train` block knows the entries `loss`, `optimizer`, `schedule`, `batch`, `epochs`, `augment` and "
        "`init`, and the words of each. A misspelt entry would silently change the training; the message suggests "
        "the nearest one.",
        "net a { input x: 8; dense 4; train { optimiser sgd lr=0.1 } }\n",
    ),
    "E0802": Code(
        "value of a recipe",
        "The entry is known, but it does not take this value: there are too many, or it is not a number where one is "
        "expected. The message says what is expected.",
        "net a { input x: 8; dense 4; train { epochs 1, 2 } }\n",
    ),
    "E0803": Code(
        "loss that does not fit the output",
        "A loss is computed from what the net gives: cross-entropy from scores, negative log-likelihood from the "
        "logarithms of probabilities, binary cross-entropy from one score or probability for each label. From "
        "something else the loss would still be a number, and the net would learn badly or nothing.",
        "net a { input x: 8; dense 4 -> softmax; train { loss cross_entropy } }\n",
    ),
}
