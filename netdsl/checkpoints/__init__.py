"""Files of trained weights: safetensors, numpy's npz, PyTorch checkpoints, and the initializers of ONNX models.

`open_checkpoint` gives what a file holds by name without reading the arrays, `weights_from` the parameters of a net
out of a file, and `write_checkpoint` a file of another kind.
"""

from netdsl.checkpoints.checkpoint import Checkpoint, Tensor
from netdsl.checkpoints.comparison import Fit, compare
from netdsl.checkpoints.fitting import fitted
from netdsl.checkpoints.loading import CheckpointWeights, weights_from
from netdsl.checkpoints.opening import open_checkpoint
from netdsl.checkpoints.writing import write_checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointWeights",
    "Fit",
    "Tensor",
    "compare",
    "fitted",
    "open_checkpoint",
    "weights_from",
    "write_checkpoint",
]
