"""E11: training runs."""

from netdsl.reference.codes.entry import Code

RUNS = {
    "E1101": Code(
        "folder holds a run already",
        "A run writes checkpoints, figures and weights into a folder of its own, and never over those of another. "
        "Go on with it by `--resume`, or name another folder by `-o`.",
    ),
    "E1102": Code(
        "run cannot be resumed",
        "A run goes on from the last checkpoint in its folder, with the net, the data, the recipe and all that it "
        "began with: others would give a result that neither describes. `early_stop` may change, and so may `epochs`, "
        "unless the schedule depends on it, as `linear` and `cosine` do. Arrays are told apart by their content, "
        "images on disk by names, sizes and times; `--from` need not be given again.",
    ),
    "E1103": Code(
        "nothing of that name to freeze",
        "`--freeze` takes names of parameters, or patterns such as `features.*`, and each must match something; one "
        "that matches nothing would train what was meant to stay.",
    ),
    "E1104": Code(
        "training has diverged",
        "A loss, or a weight at the end of an epoch, has become NaN or infinite, and nothing would ever make it finite "
        "again. `last.ckpt` keeps the last whole epoch, and no model is written. Most often the rate is too large: "
        "train anew with a smaller one, or bound the gradients by `clip`.",
    ),
    "E1105": Code(
        "weights to begin with are not finite",
        "A run would begin or go on with weights of NaN or infinity, and every loss would be NaN. Most often a "
        "training diverged before they were saved: take an earlier checkpoint.",
    ),
    "E1106": Code(
        "nothing to train",
        "A run changes parameters to make its loss small. The net has none, `--freeze` has taken all of them out, or "
        "no parameter that is left has a part in the loss.",
    ),
    "E1107": Code(
        "another process is training into the folder",
        "A folder belongs to one run, and one process at a time writes into it. The claim ends with the process, "
        "however that ends: a run that was killed can be resumed at once.",
    ),
    "E1108": Code(
        "batches of one sample",
        "Batch norm over vectors, or maps of one position, takes the statistics of a batch, which one sample has not: "
        "give each process two samples at least.",
    ),
    "E1109": Code(
        "the samples of a run are not found",
        "The model of a run is judged by the samples that the run held out. Its `run.json` says where the data lie, "
        "how they were divided and what they were: arrays are told apart by their content, images on disk by names, "
        "sizes and times. Data that have moved are named by `--data`; others are no data of the run, and are "
        "divided as they divide themselves.",
    ),
}
