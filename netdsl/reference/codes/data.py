"""E10: data to train on."""

from netdsl.reference.codes.entry import Code

DATA = {
    "E1001": Code(
        "no data found",
        "Data are `digits`, a directory with files of MNIST's or CIFAR's form, a directory with a subdirectory of "
        "images for each class, an `.npz` of arrays, or a `.csv` table. The message says what was looked for and what "
        "is there. Nothing is ever downloaded.",
    ),
    "E1002": Code(
        "data file broken",
        "The file is there, and its content is not what its name and its first bytes promise: it is cut short, has "
        "bytes to spare, or holds text where a number is due. Copy or download it again; in a table, mend the line "
        "that is shown.",
    ),
    "E1003": Code(
        "parts of the data do not belong together",
        "There must be one target for each sample, all samples must have one shape, and validation and test data must "
        "have the classes of the training data. The message says which counts, shapes or names differ.",
    ),
    "E1004": Code(
        "target out of range",
        "A class is a whole number from 0 to the number of classes minus 1, and a truth value is 0 or 1. Number the "
        "classes anew; `numpy.unique(y, return_inverse=True)` does so.",
    ),
    "E1005": Code(
        "image unreadable",
        "An image of the data is empty, cut short, or no image at all. All images are read once before the first "
        "epoch, so that none stops a run in the middle of the night. Mend or remove those that are named, or go on "
        "without them: `--skip-bad`.",
    ),
    "E1006": Code(
        "too few samples",
        "Every part of the data needs a sample, every class directory an image, and a batch as many samples as it "
        "has places. Take a smaller `batch` in the recipe, another fraction for validation, or more data.",
    ),
    "E1007": Code(
        "classes of the net and of the data differ",
        "A net has one output for each class, in the order of the data's class numbers. Give the net the number of "
        "classes that the data have, `--set classes=N` where it has such a parameter, and its `labels` their names.",
    ),
    "E1008": Code(
        "data do not fit the input",
        "Images fit an input of 1, 3 or 4 channels, a height and a width, and are scaled to that size. Arrays and "
        "tables are taken as they are, so that their shape must be that of the input. A net on data has one input.",
    ),
    "E1009": Code(
        "augmentation not possible",
        "A recipe changes images in ways that the data and the net must allow: a crop has the size of the net's "
        "input, a grey image has no colour to change, and only images can be turned or mirrored, without the targets "
        "where these belong to positions of the image.",
    ),
}
