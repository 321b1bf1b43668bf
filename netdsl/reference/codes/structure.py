"""E05 structure, E06 promises, E07 limits, E08 recipes."""

from netdsl.reference.codes.entry import Code

STRUCTURE = {
    "E0501": Code(
        "net has no input",
        "A net begins with the tensors it is given, and nothing can be inferred without their shapes. Begin its "
        "body with an `input`, the batch left out: `input image: 3x224x224`.",
        "net a { let width = 4 }\n",
    ),
    "E0502": Code(
        "nothing to work on",
        "A layer takes the tensor that arrives at its place, and none does: no `input` stands before it, or the "
        "body around it gets none. Put the `input` first, or start the chain from a label: `@image -> conv 8 k3`.",
        "net a { conv 4 k3; input x: 3x8x8 }\n",
    ),
    "E0503": Code(
        "net computes nothing",
        "The net's result is its input as it came. Add a layer, or name what is meant with `output`.",
        "net a { input x: 3x8x8 }\n",
    ),
    "E0504": Code(
        "skip without layers",
        "A `skip` adds what its body makes of the tensor to the tensor itself. With no layers in the body, or a "
        "`repeat 0`, that would double the tensor in silence. Write the layers, drop the skip, or give it a condition: "
        "`skip if n > 0 { ... }`.",
        "net a { input x: 3x8x8; skip { } }\n",
    ),
    "E0505": Code(
        "join without branches",
        "Every chain in the body of `concat`, `add`, `mul`, `max` or `mean` is a branch, and there must be one at "
        "least. If loops or conditions make them, see that they make some.",
        "net a { input x: 3x8x8; concat { } }\n",
    ),
    "E0506": Code(
        "output named twice",
        "The outputs of a model are told apart by their names. Call one of them something else.",
        "net a { input x: 8; dense 4; output y; dense 2; output y }\n",
    ),
    "E0507": Code(
        "statement not allowed here",
        "`input`, `assert`, `labels` and `train` speak of the whole net and stand in its own body, not in a "
        "block; a tensor by name (`@x`) starts a chain or is an argument, and does not stand in its middle.",
        "block b { input x: 8; dense 4 }\nnet a { input y: 8; b }\n",
    ),
    "E0601": Code(
        "assertion false",
        "An `assert` promises something of the net, such as its number of parameters, and it does not hold. The "
        "message shows the true value. Either a layer is not as it was meant, or the promise is out of date.",
        "net a { input x: 8; dense 4; assert params == 40 }\n",
    ),
    "E0602": Code(
        "assertion depends on unknown sizes",
        "The condition is true for some sizes of the input and false for others, so nobody can promise it. Assert the "
        "number of parameters, which never depends on them, say more about the sizes (`where H >= 32`), or fix them.",
        "net a { input x: 3xHxW; conv 4 k3; assert macs < 5e6 }\n",
    ),
    "E0701": Code(
        "net too large",
        "The work of building a net has a limit, which a net of some 20,000 layers reaches, as do some 100,000 turns "
        "of a loop. A `repeat` with a count from an expression gone wrong is the usual cause.",
    ),
    "E0702": Code(
        "calls nested too deep",
        "Blocks call blocks to a depth that has a limit; one that calls itself must stop at a condition that is "
        "met. Use `repeat` or `for` for repetition.",
        "block b { relu -> b }\nnet a { input x: 8; b }\n",
    ),
    "E0703": Code(
        "number or tensor too large",
        "A number, a list, a weight or a tensor is larger than any machine can hold, so it is refused before it is "
        "tried. A factor that is multiplied twice, or a missing pool before `flatten`, is the usual cause.",
        "net a { input x: 8; dense 99999999999 }\n",
    ),
    "E0704": Code(
        "too many repetitions",
        "A `repeat` or `for` has more turns than any net needs. Mend the count.",
        "net a { input x: 8; repeat 99999999 { relu } }\n",
    ),
    "E0801": Code(
        "unknown entry of a recipe",
        "A `train` block knows the entries `loss`, `optimizer`, `schedule`, `batch`, `epochs`, `augment` and "
        "`init`, and the choices of each. A misspelt one would change a training in silence; the message suggests "
        "the nearest.",
        "net a { input x: 8; dense 4; train { optimiser sgd lr=0.1 } }\n",
    ),
    "E0802": Code(
        "value of a recipe",
        "The entry is known, and its value is not one it takes: too many choices, or no number where one is due. "
        "The message says what is.",
        "net a { input x: 8; dense 4; train { epochs 1, 2 } }\n",
    ),
    "E0803": Code(
        "loss that does not fit the output",
        "A loss is computed from what the net gives: cross-entropy from scores, negative log-likelihood from the "
        "logarithms of probabilities, binary cross-entropy from one score or probability for each label. Given "
        "something else it would still be a number, and the net would learn badly or nothing.",
        "net a { input x: 8; dense 4 -> softmax; train { loss cross_entropy } }\n",
    ),
}
