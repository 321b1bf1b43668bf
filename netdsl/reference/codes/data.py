"""E10: data to train on."""

from netdsl.reference.codes.entry import Code

DATA = {
    "E1001": Code(
        "no data found",
        "Data are `digits`, a directory with the files of MNIST or CIFAR, a directory with a subdirectory of images "
        "for each class, an `.npz` of arrays, or a `.csv` table. The message says what was looked for, and what was "
        "found. Nothing is ever downloaded.",
    ),
    "E1002": Code(
        "data file damaged",
        "The file exists, but its content is not what its name and its first bytes say: it is cut short, is too long, "
        "or holds text in place of a number. Copy or download it again; in a table, correct the line that is shown.",
    ),
    "E1003": Code(
        "parts of the data do not belong together",
        "There must be one target for each sample, all samples must have the same shape, and validation and test data "
        "must have the classes of the training data. The message says which counts, shapes or names differ.",
    ),
    "E1004": Code(
        "target out of range",
        "A class is a whole number from 0 to the number of classes minus 1, and a label is 0 or 1. Number the "
        "classes from 0; `numpy.unique(y, return_inverse=True)` does so.",
    ),
    "E1005": Code(
        "image unreadable",
        "An image of the data is empty, cut short, or not an image at all. All images are read once before the first "
        "epoch, so that no run stops because of one after hours. Repair or remove the images that are named, or "
        "continue without them: `--skip-bad`.",
    ),
    "E1006": Code(
        "too few samples",
        "Every split of the data needs a sample, every class directory an image, and there must be as many training "
        "samples as a batch has. Use a smaller `batch` in the recipe, another fraction for validation, or more data.",
    ),
    "E1007": Code(
        "classes of the net and of the data differ",
        "A net has one output for each class, in the order of the data's class numbers. Give the net the number of "
        "classes that the data have, `--set classes=N` where it has such a parameter, and its `labels` their names.",
    ),
    "E1008": Code(
        "data do not fit the input",
        "Images fit an input of 1, 3 or 4 channels, a height and a width, and are scaled to that size. Arrays and "
        "tables are not scaled, so their shape must be that of the input. A net that is trained or tested on data has "
        "one input.",
    ),
    "E1009": Code(
        "augmentation not possible",
        "The augmentations of a recipe must suit the data and the net: crops end in the size of the net's input, a "
        "grey image has no colour to change, only images can be rotated or mirrored, and nothing may be moved if the "
        "targets belong to positions of the image.",
    ),
}
