"""Nets that read sequences: recurrent ones, transformers and mixers."""

from __future__ import annotations

import torch
from torch import nn


class TextClassifier(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.words = nn.Embedding(20000, 128)
        self.cell = cell(128, 128, batch_first=True)
        self.classes = nn.Linear(128, 2)

    def forward(self, tokens):
        outputs, _ = self.cell(self.words(tokens))
        return self.classes(outputs[:, -1])


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(40000, 50)
        self.cell = nn.LSTM(50, 300, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(600, 45)

    def forward(self, words):
        return self.tags(self.cell(self.words(words))[0]).mT


class CharRnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.characters = nn.Embedding(65, 128)
        self.cells = nn.LSTM(128, 128, num_layers=2, batch_first=True)
        self.next = nn.Linear(128, 65)

    def forward(self, characters):
        return self.next(self.cells(self.characters(characters))[0]).mT


class Unit(nn.Module):
    """A layer of a transformer whose norms come first."""

    def __init__(self, width, heads, hidden, bias=True, eps=1e-5, causal=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps, bias=bias)
        self.attention = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True)
        self.norm2 = nn.LayerNorm(width, eps, bias=bias)
        gelu = nn.GELU("tanh" if causal else "none")
        self.mlp = nn.Sequential(nn.Linear(width, hidden, bias), gelu, nn.Linear(hidden, width, bias))
        self.causal = causal

    def forward(self, x):
        y, steps = self.norm1(x), x.shape[1]
        behind = torch.ones(steps, steps, dtype=torch.bool).triu(1) if self.causal else None
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=behind)[0]
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, vocab, context, depth, heads, width, bias):
        super().__init__()
        self.words = nn.Embedding(vocab, width)
        self.positions = nn.Embedding(context, width)
        units = (Unit(width, heads, 4 * width, bias, causal=True) for _ in range(depth))
        self.units = nn.Sequential(*units, nn.LayerNorm(width, bias=bias))

    def forward(self, tokens):
        x = self.words(tokens) + self.positions(torch.arange(tokens.shape[1]))
        return (self.units(x) @ self.words.weight.T).mT


class Vit(nn.Module):
    def __init__(self, patch, depth, heads, width):
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.encoder = nn.Module()
        self.encoder.positions = nn.Parameter(torch.zeros(1, (224 // patch) ** 2 + 1, width))
        units = (Unit(width, heads, 4 * width, eps=1e-6) for _ in range(depth))
        self.encoder.units = nn.Sequential(*units, nn.LayerNorm(width, 1e-6))
        self.classes = nn.Linear(width, 1000)

    def forward(self, image):
        x = self.patches(image).flatten(2).mT
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.encoder.positions
        return self.classes(self.encoder.units(x)[:, 0])


class Mixing(nn.Module):
    """Dense layers along the patches, then along the channels."""

    def __init__(self, patches, tokens, width, channels):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, 1e-6)
        self.along = nn.Sequential(nn.Linear(patches, tokens), nn.GELU(), nn.Linear(tokens, patches))
        self.norm2 = nn.LayerNorm(width, 1e-6)
        self.across = nn.Sequential(nn.Linear(width, channels), nn.GELU(), nn.Linear(channels, width))

    def forward(self, x):
        x = x + self.along(self.norm1(x).mT).mT
        return x + self.across(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, patch, depth, width):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        units = (Mixing((224 // patch) ** 2, width // 2, width, 4 * width) for _ in range(depth))
        self.units = nn.Sequential(*units, nn.LayerNorm(width, 1e-6))
        self.classes = nn.Linear(width, 1000)

    def forward(self, image):
        return self.classes(self.units(self.patches(image).flatten(2).mT).mean(1))


SEQUENCES = {
    "lstm_classifier": lambda: TextClassifier(nn.LSTM),
    "gru_classifier": lambda: TextClassifier(nn.GRU),
    "bilstm_tagger": Tagger,
    "char_rnn": CharRnn,
    "gpt": lambda depth=6: Gpt(65, 256, depth, 6, 384, bias=False),
    "gpt2": lambda vocab=50257, depth=12: Gpt(vocab, 1024, depth, 12, 768, bias=True),
    "gpt2_xl": lambda vocab=50257, depth=48, width=1600: Gpt(vocab, 1024, depth, 25, width, bias=True),
    "vit_b_16": lambda depth=12: Vit(16, depth, 12, 768),
    "mixer_s_32": lambda depth=8: Mixer(32, depth, 512),
    "mixer_b_16": lambda depth=12: Mixer(16, depth, 768),
}
"""Each by its name in the zoo."""

SHORT = {
    "gpt": {"depth": 2},
    "gpt2": {"depth": 1, "vocab": 500},
    "gpt2_xl": {"depth": 1, "width": 100, "vocab": 500},
    **{name: {"depth": 1} for name in ("vit_b_16", "mixer_s_32", "mixer_b_16")},
}
