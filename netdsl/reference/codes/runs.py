"""E11: training runs."""

from netdsl.reference.codes.entry import Code

RUNS = {
    "E1101": Code(
        "folder holds a run already",
        "A run writes checkpoints, metrics and weights into a folder of its own, and never over those of another run. "
        "Continue it with `--resume`, or choose another folder with `-o`.",
    ),
    "E1102": Code(
        "run cannot be resumed",
        "A run continues from the last checkpoint in its folder, with the same net, data, recipe and settings: others "
        "would give a result that neither describes. `early_stop` may change, and so may `epochs`, unless the schedule "
        "depends on it, as `linear` and `cosine` do. Arrays are compared by their content, images on disk by names, "
        "sizes and times; `--from` need not be given again.",
    ),
    "E1103": Code(
        "no parameter of this name to freeze",
        "`--freeze` takes names of parameters, or patterns such as `features.*`, and each must match something; "
        "otherwise a misspelt pattern would train parameters that should stay fixed.",
    ),
    "E1104": Code(
        "training has diverged",
        "A loss, or a weight at the end of an epoch, became NaN or infinite, and would never become finite again. "
        "`last.ckpt` keeps the last complete epoch, and no model is written. Usually the rate is too large: "
        "train again with a smaller one, or bound the gradients with `clip`.",
    ),
    "E1105": Code(
        "initial weights are not finite",
        "A run would start or continue with weights that are NaN or infinite, and every loss would be NaN. Usually "
        "a training diverged before they were saved: use an earlier checkpoint.",
    ),
    "E1106": Code(
        "nothing to train",
        "A run changes parameters to reduce its loss. The net has none, `--freeze` excludes all of them, or the loss "
        "does not depend on any parameter that is left.",
    ),
    "E1107": Code(
        "another process is training into the folder",
        "A folder belongs to one run, and only one process at a time writes into it. The lock ends with the process, "
        "however that ends: a run that was killed can be resumed at once.",
    ),
    "E1108": Code(
        "batches of one sample",
        "Batch norm over vectors, or over maps with one position, takes statistics over the batch, which one sample "
        "does not have: give each process at least two samples.",
    ),
    "E1109": Code(
        "samples of a run not found",
        "The model of a run is tested on the samples that the run held out. Its `run.json` records the location of "
        "the data, their split, and fingerprints: of the content of arrays, and of names, sizes and times of images "
        "on disk. `--data` gives the location of data that were moved; data that differ do not belong to the run, and "
        "keep their own split.",
    ),
}
