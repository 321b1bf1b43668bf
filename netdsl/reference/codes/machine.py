"""E09: files, models and devices."""

from netdsl.reference.codes.entry import Code

MACHINE = {
    "E0901": Code(
        "cannot read a file",
        "The file does not exist, is not a regular file (a directory, a pipe, a device), or this user may not read it. "
        "Paths are relative to the working directory, and `-` is standard input; the message gives the reason.",
    ),
    "E0902": Code(
        "cannot write a file",
        "The directory does not exist or is not writable, or the name belongs to something that must not be "
        "replaced: a directory, a device, a file that the same command reads. A name with the ending of another "
        "format, such as `.pt` for an ONNX model, is refused too. Choose another path with `-o`.",
    ),
    "E0903": Code(
        "no space left",
        "The disk became full while a file was written. No partial file remains, and a file that existed before is "
        "unchanged. Free some space, or write to another disk.",
    ),
    "E0904": Code(
        "device unavailable",
        "A model runs on the requested device, or not at all; a silent change to the CPU would make every "
        "measurement wrong. The message says what is missing: a build of onnxruntime for GPUs, a CUDA library, the "
        "driver, or the GPU of that number. `netdsl doctor` shows the state of the installation.",
    ),
    "E0905": Code(
        "model file not usable",
        "The file is not an ONNX model, is cut short, lacks its weights file, or is newer than the installed "
        "onnxruntime. The message says which. Write or download it again, keep NAME.onnx.data beside NAME.onnx, or "
        "upgrade onnxruntime.",
    ),
    "E0906": Code(
        "input data not usable",
        "The inputs of a model must have the shapes and element types that the message lists, with the batch first, "
        "and tokens must be among those that the net embeds. Bytes (uint8) are images for a model that takes pixels, "
        "and numbers for any other. Other arrays are never rounded or rescaled silently: convert them with numpy. An "
        "image that cannot be read, or whose range is not known (floats, integers of 32 bits), is reported here, too.",
    ),
    "E0907": Code(
        "package missing or broken",
        "Checking and compiling need few packages; running models, reading images and training need more, which can "
        "be installed when needed. An installed package may also fail on import, because it does not fit another one; "
        "the message names the package at fault. `netdsl doctor` imports them all.",
    ),
    "E0908": Code(
        "opset out of range",
        "ONNX numbers the versions of its operators, and netdsl writes 13 to 21. Without `--opset` it takes the "
        "lowest in which every layer has its best form, so that old runtimes can load the model.",
    ),
    "E0909": Code(
        "layer has no form in this opset",
        "The layer needs an operator, or a variant of one, that the requested opset does not have yet, and it "
        "cannot be composed of older ones. Use a higher `--opset`, or leave it out.",
    ),
    "E0910": Code(
        "name taken in PyTorch",
        "In a PyTorch module, submodules are attributes beside the methods that every module has, and inputs are "
        "arguments. So no label can be `half` or `type`, and no label or input can be a Python keyword such as "
        "`class`. Choose another name; ONNX allows any.",
    ),
    "E0911": Code(
        "checkpoint not usable",
        "The file is not a checkpoint of the format that its ending says, is cut short, lacks its second file, or "
        "holds something other than weights. A PyTorch checkpoint can hold programs, which netdsl never runs: such a "
        "file is refused. Where you trust it, save only its weights: `torch.save(model.state_dict(), path)`.",
    ),
    "E0912": Code(
        "weights do not fit the net",
        "The names, shapes and types in a checkpoint must be those of the net's parameters; `netdsl weights FILE "
        "--net NET` compares them. If only names differ, `--map 'OLD=NEW'` renames them; a `*` on both sides "
        "stands for the same text. If a part was replaced, such as the last layer for other classes, `--partial` takes "
        "what fits. A file that netdsl wrote also has the normalization of the input and the class names, which must "
        "be those of the net. An optimized model has layers folded into its weights, which are then no longer those of "
        "the net.",
    ),
    "E0915": Code(
        "backends disagree",
        "A net is one function, and PyTorch and onnxruntime must both compute it, up to rounding. The message names "
        "the first layer whose result differs from PyTorch in float64 by more than is allowed, or that a backend "
        "cannot compute at all. If its result also differs from what float64 computes from the same inputs, the layer "
        "is at fault; otherwise rounding errors of earlier layers have accumulated, and `--rtol` allows more.",
    ),
    "E0916": Code(
        "no scores of classes",
        "A model that is tested on a data set must return a finite float for each class of a sample: a probability, or "
        "a logit. NaN or infinite scores come from weights that diverged in training; train again with a lower rate, "
        "or with `clip 1`.",
    ),
    "E0917": Code(
        "nothing to draw",
        "A plot needs something to show: filters of a first layer that sees an image, scores of classes, mistakes "
        "among images. The message says what is missing in this model or these data.",
    ),
    "E0918": Code(
        "weights in several places",
        "A file may hold several sets of weights: a model and its moving average, a student and a teacher, a generator "
        "and a discriminator. If the net fits only one, that one is used. If it fits several, or no net is given, the "
        "message lists them by the keys that lead to them, and `--key` chooses: `--key ema.state_dict`, or `--key .` "
        "for the weights under no key. In a file without keys, it takes the names with this prefix.",
    ),
}
