"""Evaluation: the answers of models on a data set, run in onnxruntime, compared with the true ones."""

from netdsl.evaluation.classes import ClassEvaluation
from netdsl.evaluation.evaluating import evaluate
from netdsl.evaluation.labels import LabelEvaluation
from netdsl.evaluation.values import ValueEvaluation

__all__ = ["ClassEvaluation", "LabelEvaluation", "ValueEvaluation", "evaluate"]
