"""E11: training runs."""

from netdsl.codes.entry import Code

RUNS = {
    "E1101": Code(
        "folder holds a run already",
        "A run writes checkpoints, figures and weights into a folder of its own, and never over those of another. "
        "Go on with it by `--resume`, or name another folder by `-o`.",
    ),
    "E1102": Code(
        "run cannot be resumed",
        "A run goes on from the last checkpoint in its folder, with the net and the recipe that it began with: others "
        "would give a result that neither recipe describes. `early_stop` may change, and so may `epochs`, unless the "
        "schedule depends on it, as `linear` and `cosine` do.",
    ),
    "E1103": Code(
        "nothing of that name to freeze",
        "`--freeze` takes names of parameters, or patterns such as `features.*`, and each must match something; one "
        "that matches nothing would train what was meant to stay.",
    ),
}
