"""E09: files, models and devices."""

from netdsl.reference.codes.entry import Code

MACHINE = {
    "E0901": Code(
        "cannot read a file",
        "The file is not there, is no regular file (a directory, a pipe, a device), or may not be read by this user. "
        "Paths are relative to the working directory, and `-` is standard input; the message gives the reason.",
    ),
    "E0902": Code(
        "cannot write a file",
        "The directory is not there or may not be written, or the name belongs to something that must not be "
        "replaced: a directory, a device, a file that the same command reads. A name whose ending says something else "
        "than what is written, as `.pt` for an ONNX model, is refused too. Choose another path with `-o`.",
    ),
    "E0903": Code(
        "no space left",
        "The disk filled up while a file was written. Nothing is left of it under its name, and a file that was "
        "there before is untouched. Free some space, or write to another disk.",
    ),
    "E0904": Code(
        "device unavailable",
        "A model runs on the device that was asked for, or not at all; a silent change to the CPU would make every "
        "measurement wrong. The message says what is missing: a build of onnxruntime for GPUs, a CUDA library, the "
        "driver, or the GPU of that number. `netdsl doctor` shows the state of the installation.",
    ),
    "E0905": Code(
        "model file not usable",
        "The file is no ONNX model, is cut short, misses its weights file, or is newer than the installed "
        "onnxruntime. The message says which. Write or download it again, keep NAME.onnx.data beside NAME.onnx, or "
        "upgrade onnxruntime.",
    ),
    "E0906": Code(
        "input data not usable",
        "What a model is given must have the shapes and element types that the message lists, the batch first, and "
        "tokens must be among those that it has vectors for. Bytes (uint8) are images for a model that takes pixels, "
        "and numbers for any other. Other arrays are never rounded or rescaled in silence: convert them with numpy. An "
        "image that cannot be read, or whose range is not known (floats, integers of 32 bits), is reported here too.",
    ),
    "E0907": Code(
        "package missing or broken",
        "Checking and compiling need few packages; running models, reading images and training need more, which are "
        "installed on demand. A package may also be there and fail when it is imported, because one that it imports "
        "does not fit it; the message names the one at fault. `netdsl doctor` imports them all.",
    ),
    "E0908": Code(
        "opset out of range",
        "ONNX numbers the versions of its operators, and netdsl writes 13 to 21. Without `--opset` it takes the "
        "lowest in which every layer has its best form, so that old runtimes can load the model.",
    ),
    "E0909": Code(
        "layer has no form in this opset",
        "The layer needs an operator, or a variant of one, that the opset asked for does not have yet, and it "
        "cannot be composed of older ones. Ask for a higher `--opset`, or for none.",
    ),
    "E0910": Code(
        "name taken in PyTorch",
        "In a PyTorch module, submodules are attributes beside the methods that every module has, and inputs are "
        "arguments. So no label can be `half` or `type` there, and neither it nor an input a Python keyword "
        "such as `class`. Choose another name; ONNX takes any.",
    ),
    "E0911": Code(
        "checkpoint not usable",
        "The file is no checkpoint of the kind that its ending says, is cut short, misses its second file, or holds "
        "something else than weights. A PyTorch checkpoint can hold programs, which netdsl never runs: such a file is "
        "refused, and its weights must be saved alone where it is trusted, `torch.save(model.state_dict(), path)`.",
    ),
    "E0912": Code(
        "weights do not fit the net",
        "The names, shapes and types of a checkpoint must be those of the net's parameters, as `netdsl weights FILE "
        "--net NET` compares them. Where only names differ, `--map 'OLD=NEW'` renames them, a `*` on both sides "
        "standing for the same text. Where a part was replaced, as the last layer for other classes, `--partial` takes "
        "what fits. A file that netdsl wrote also tells how the net normalizes its input and what its classes are "
        "called, and those of the net must not be others; an optimized model has layers folded into its weights, which "
        "are then no longer those of the net.",
    ),
    "E0915": Code(
        "backends disagree",
        "A net is one function, and PyTorch and onnxruntime must both compute it, up to rounding. The message names "
        "the first layer whose result differs from PyTorch in float64 by more than is allowed, or that a backend "
        "cannot compute at all. Where its result is not what float64 makes of the values that it reads, the layer is "
        "at fault; else rounding of layers before it has added up and grown, and `--rtol` allows more.",
    ),
    "E0916": Code(
        "no scores of classes",
        "What is tested on a data set must give a finite float for each class of a sample: a probability, or a logit. "
        "NaN or infinite scores come from weights that have diverged in training; train again with a lower rate, or "
        "with `clip 1`.",
    ),
    "E0917": Code(
        "nothing to draw",
        "A picture shows what is there: the filters of a first layer that sees an image, the classes that a model "
        "scores, the mistakes among images. The message says what is missing in this model or these data.",
    ),
    "E0918": Code(
        "weights in several places",
        "A file may hold several sets of weights: a model and its moving average, a student and a teacher, a generator "
        "and a discriminator. Where the net fits one alone, that is taken. Where it fits several, or no net is "
        "given, the message lists them by the keys that lead to them, and `--key` chooses: `--key ema.state_dict`, or "
        "`--key .` for what lies under no key. In a file without keys, it takes the names that begin so.",
    ),
}
