"""Nets of the zoo that read sequences learn by their own recipes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netdsl.backends.torch import lower as torch_backend
from netdsl.compiler import check
from netdsl.recipe.settings import Settings
from netdsl.training.losses import make_loss
from netdsl.training.optimizers import make_optimizer
from netdsl.training.samples.batches import shuffled
from netdsl.training.samples.opening import open_data
from netdsl.weights.initial import Initializer

LETTERS, STEPS = 12, 16
SMALL = {
    "gpt": {"vocab": LETTERS, "context": STEPS, "depth": 1, "heads": 2, "width": 32, "dropout": 0},
    "char_rnn": {"vocab": LETTERS, "hidden": 32},
    "bilstm_tagger": {"vocab": LETTERS, "dim": 16, "hidden": 16, "tags": LETTERS},
    "lstm_classifier": {"vocab": LETTERS, "dim": 16, "hidden": 32, "classes": LETTERS},
    "gru_classifier": {"vocab": LETTERS, "dim": 16, "hidden": 32, "classes": LETTERS},
}
RATES = {"bilstm_tagger": 1.0, "lstm_classifier": 0.01, "gru_classifier": 0.01, "char_rnn": 0.01}
"""Higher ones than in recipes that are for days."""


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_the_next_letter(name, tmp_path):
    """In a text in which each letter tells the next, guesses without any knowledge cost log 12."""
    g = np.random.default_rng(0)
    text = np.tile(g.permutation(LETTERS), 10)
    starts = g.integers(0, len(text) - STEPS, 512)
    x, y = (np.stack([text[start + shift :][:STEPS] for start in starts]) for shift in (0, 1))
    np.savez(tmp_path / "text.npz", x=x, y=y[:, -1] if name.endswith("classifier") else y)
    graph = check(name, SMALL[name]).graph
    settings = Settings.of(graph.recipe)
    settings = replace(settings, optimizer=replace(settings.optimizer, lr=RATES.get(name, settings.optimizer.lr)))
    data = open_data(tmp_path / "text.npz", graph, replace(settings, batch=32))
    module = torch_backend.lower(graph, Initializer())
    loss = make_loss(settings.loss, *graph.outputs.values())
    optimizer = make_optimizer(settings.optimizer, module.parameters())
    for epoch in range(10):
        losses = []
        for tokens, targets in data.train.batches(32, shuffled(len(data.train), 0, epoch)):
            optimizer.zero_grad()
            losses.append(loss(module(tokens), targets))
            losses[-1].backward()
            optimizer.step()
    assert sum(losses) / len(losses) < np.log(LETTERS) / 5
