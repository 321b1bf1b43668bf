"""What a model is worth: its answers on a data set, in onnxruntime, against the true ones."""

from netdsl.evaluation.classes import ClassEvaluation
from netdsl.evaluation.evaluating import evaluate
from netdsl.evaluation.labels import LabelEvaluation
from netdsl.evaluation.values import ValueEvaluation

__all__ = ["ClassEvaluation", "LabelEvaluation", "ValueEvaluation", "evaluate"]
