"""The vocabulary of `train` blocks: every word is a frozen dataclass whose fields are its arguments.

Defaults are those of the PyTorch class that a word stands for; a learning rate without a default must be given.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netdsl.ir.meaning import Gives
from netdsl.layers.arguments import Count, Flag, Integer, Integers, Natural, Positive, Probability, Size

if TYPE_CHECKING:
    from netdsl.base.source import Span


@dataclass(frozen=True)
class CrossEntropy:
    """Softmax and negative log-likelihood of the right class (torch.nn.CrossEntropyLoss)."""

    gives = Gives.LOGITS

    label_smoothing: Probability = 0.0


@dataclass(frozen=True)
class Quadratic:
    """Half the squared distance to the one-hot target, the quadratic cost of Nielsen's book (2015)."""

    gives = Gives.VALUES


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Independent yes-or-no outputs, given as logits (torch.nn.BCEWithLogitsLoss)."""

    gives = Gives.YES_LOGITS


@dataclass(frozen=True)
class NegativeLogLikelihood:
    """Negative log-likelihood of log-probabilities (torch.nn.NLLLoss)."""

    gives = Gives.LOG_PROBABILITIES


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent: v = momentum * v + gradient, and a step is lr * v (torch.optim.SGD)."""

    lr: Positive
    momentum: Probability = 0.0
    nesterov: Flag = False
    weight_decay: Positive = 0.0


@dataclass(frozen=True)
class Adagrad:
    """Adagrad: a step is lr * gradient / root of the sum of all squared gradients (torch.optim.Adagrad)."""

    lr: Positive = 0.01
    eps: Positive = 1e-10
    weight_decay: Positive = 0.0


@dataclass(frozen=True)
class Adadelta:
    """Adadelta: a step is lr * gradient * rms(recent steps) / rms(recent gradients) (torch.optim.Adadelta)."""

    lr: Positive = 1.0
    rho: Probability = 0.9
    eps: Positive = 1e-6
    weight_decay: Positive = 0.0


@dataclass(frozen=True)
class RmsProp:
    """RMSprop: a step is lr * gradient / rms(recent gradients) (torch.optim.RMSprop)."""

    lr: Positive = 0.01
    alpha: Probability = 0.99
    eps: Positive = 1e-8
    momentum: Probability = 0.0
    weight_decay: Positive = 0.0


@dataclass(frozen=True)
class Adam:
    """Adam: a step is lr * mean(recent gradients) / rms(recent gradients) (torch.optim.Adam)."""

    lr: Positive = 1e-3
    beta1: Probability = 0.9
    beta2: Probability = 0.999
    eps: Positive = 1e-8
    weight_decay: Positive = 0.0


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (torch.optim.AdamW)."""

    lr: Positive = 1e-3
    beta1: Probability = 0.9
    beta2: Probability = 0.999
    eps: Positive = 1e-8
    weight_decay: Positive = 0.01


@dataclass(frozen=True)
class ConstantRate:
    """The learning rate stays constant."""


@dataclass(frozen=True)
class Step:
    """The learning rate is multiplied by `factor` every `every` epochs (StepLR)."""

    every: Count
    factor: Positive = 0.1


@dataclass(frozen=True)
class Milestones:
    """The learning rate is multiplied by `factor` after each of the epochs `at` (MultiStepLR)."""

    at: Integers
    factor: Positive = 0.1


@dataclass(frozen=True)
class Plateau:
    """The learning rate is multiplied by `factor` after `patience` epochs without progress (ReduceLROnPlateau)."""

    factor: Positive = 0.1
    patience: Natural = 10


@dataclass(frozen=True)
class TimeDecay:
    """The learning rate is divided by 1 + `decay` * epoch."""

    decay: Positive


@dataclass(frozen=True)
class Exponential:
    """The learning rate is multiplied by `factor` every epoch (ExponentialLR)."""

    factor: Positive


@dataclass(frozen=True)
class Linear:
    """The learning rate falls linearly to zero over the epochs of the recipe (LinearLR)."""


@dataclass(frozen=True)
class Cosine:
    """The learning rate follows half a cosine down to `least` over the epochs of the recipe (CosineAnnealingLR)."""

    least: Positive = 0.0


@dataclass(frozen=True)
class Flip:
    """Flip left and right with probability `p`."""

    p: Probability = 0.5


@dataclass(frozen=True)
class RandomCrop:
    """Crop a random `size` from the image, after padding every side with `pad` zeros."""

    size: Size
    pad: Natural = 0


@dataclass(frozen=True)
class Rotate:
    """Rotate by up to `degrees` in either direction."""

    degrees: Positive


@dataclass(frozen=True)
class Shift:
    """Shift by up to `fraction` of the side in either direction."""

    fraction: Probability


@dataclass(frozen=True)
class Rescale:
    """Zoom by a factor from 1 - `by` to 1 + `by`."""

    by: Probability


@dataclass(frozen=True)
class Shear:
    """Shear by up to `degrees` in either direction."""

    degrees: Positive


@dataclass(frozen=True)
class Stretch:
    """Change the aspect ratio by a factor from 1 - `by` to 1 + `by`."""

    by: Probability


@dataclass(frozen=True)
class Colour:
    """Change hue and saturation by up to `by`."""

    by: Probability = 0.1


@dataclass(frozen=True)
class Contrast:
    """Change brightness and contrast by up to `by`."""

    by: Probability = 0.1


@dataclass(frozen=True)
class PytorchInit:
    """The initial values of PyTorch's layers."""


@dataclass(frozen=True)
class He:
    """Normal with variance 2 / fan_in (He et al. 2015)."""


@dataclass(frozen=True)
class Xavier:
    """Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""


@dataclass(frozen=True)
class Normal:
    """Normal with a fixed standard deviation."""

    std: Positive = 0.01


@dataclass(frozen=True)
class Batch:
    """The number of samples in a batch, in each process."""

    value: Count


@dataclass(frozen=True)
class Epochs:
    """The number of passes over all training samples."""

    value: Count


@dataclass(frozen=True)
class EarlyStop:
    """The number of epochs without a lower validation loss after which training ends; by default, no limit."""

    value: Count


@dataclass(frozen=True)
class Accumulate:
    """The number of batches whose gradients are summed before a step."""

    value: Count


@dataclass(frozen=True)
class Clip:
    """The largest norm of all gradients together (clip_grad_norm_); by default, they are not clipped."""

    value: Positive


@dataclass(frozen=True)
class AuxWeight:
    """The factor of the losses of auxiliary outputs (Szegedy et al. 2014)."""

    value: Positive


@dataclass(frozen=True)
class Seed:
    """The seed of the random numbers: of initial weights, of the order of samples, and of dropped units."""

    value: Integer


WORDS: dict[str, dict[str, type]] = {
    "loss": {
        "cross_entropy": CrossEntropy,
        "quadratic": Quadratic,
        "binary_cross_entropy": BinaryCrossEntropy,
        "nll": NegativeLogLikelihood,
    },
    "optimizer": {
        "sgd": Sgd,
        "adagrad": Adagrad,
        "adadelta": Adadelta,
        "rmsprop": RmsProp,
        "adam": Adam,
        "adamw": AdamW,
    },
    "schedule": {
        "constant": ConstantRate,
        "step": Step,
        "milestones": Milestones,
        "plateau": Plateau,
        "time_decay": TimeDecay,
        "exponential": Exponential,
        "linear": Linear,
        "cosine": Cosine,
    },
    "augment": {
        "flip": Flip,
        "crop": RandomCrop,
        "rotate": Rotate,
        "shift": Shift,
        "rescale": Rescale,
        "shear": Shear,
        "stretch": Stretch,
        "colour": Colour,
        "contrast": Contrast,
    },
    "init": {"pytorch": PytorchInit, "he": He, "xavier": Xavier, "normal": Normal},
}
"""The entries whose items begin with a word."""

WORD_OF: dict[type, str] = {cls: word for words in WORDS.values() for word, cls in words.items()}
"""The word that each of their items begins with."""

PURPOSES = {
    "loss": "the quantity that training minimizes: the mean over a batch",
    "optimizer": "how a step changes the parameters",
    "schedule": "how the learning rate changes from epoch to epoch",
    "augment": "random changes of the images of a training batch, each time anew and in the order written",
    "init": "the initial values of the weights",
}
"""The purpose of each of these entries."""

NUMBERS: dict[str, type] = {
    "batch": Batch,
    "epochs": Epochs,
    "early_stop": EarlyStop,
    "accumulate": Accumulate,
    "clip": Clip,
    "aux_weight": AuxWeight,
    "seed": Seed,
}
"""The entries that are one number."""


@dataclass(frozen=True)
class Recipe:
    """A checked `train` block.

    Attributes:
        entries: the items of each entry, in the order written.
        spans: the source locations of the entries.
    """

    entries: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    spans: "dict[str, Span]" = field(default_factory=dict, compare=False, repr=False)


RATES = ("lr", "learning_rate", "rate")
"""Names of the learning rate, which is an argument of the optimizer and no entry of its own."""
