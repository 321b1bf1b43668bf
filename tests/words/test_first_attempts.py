"""First attempts of people who know PyTorch, Keras, papers or YAML: the message gives the line to write.

A row is a line as somebody wrote it, and the line that should have been written. The message of the first is applied
to the letter: what stands between backticks in its help replaces the part that is underlined, or the whole line. The
result is the second line, and passes `check`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from netdsl.base.diagnostics import NetdslError
from netdsl.compiler import check_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.base.diagnostics import Diagnostic

IMAGE = "input image: 16x32x32"
VECTOR = "input x: 64"
SEQUENCE = "input steps: 20x64"
TOKENS = "input words: 20 int64"

ROWS: dict[str, list[tuple[str, str]]] = {
    IMAGE: [
        # names of modules in PyTorch
        ("Conv2d 8 k3", "conv 8 k3"),
        ("conv2d 8 k3", "conv 8 k3"),
        ("Conv 8 k3", "conv 8 k3"),
        ("convolution 8 k3", "conv 8 k3"),
        ("ConvTranspose2d 8 k3", "deconv 8 k3"),
        ("conv_transpose 8 k3", "deconv 8 k3"),
        ("transposed_conv 8 k3", "deconv 8 k3"),
        ("deconvolution 8 k3", "deconv 8 k3"),
        ("BatchNorm2d", "bn"),
        ("batch_norm", "bn"),
        ("BatchNorm", "bn"),
        ("batchnorm", "bn"),
        ("SyncBatchNorm", "bn"),
        ("LayerNorm", "ln"),
        ("layer_norm", "ln"),
        ("layernorm", "ln"),
        ("LayerNorm2d", "channel_ln"),
        ("GroupNorm 4", "gn 4"),
        ("group_norm 4", "gn 4"),
        ("groupnorm 4", "gn 4"),
        ("InstanceNorm2d", "instance_norm"),
        ("instancenorm", "instance_norm"),
        ("LocalResponseNorm 5", "lrn 5"),
        ("RMSNorm", "rmsnorm"),
        ("rms_norm", "rmsnorm"),
        ("ReLU", "relu"),
        ("Relu", "relu"),
        ("RELU", "relu"),
        ("LeakyReLU", "leaky_relu"),
        ("leakyrelu", "leaky_relu"),
        ("lrelu", "leaky_relu"),
        ("PReLU", "prelu"),
        ("ELU", "elu"),
        ("SELU", "selu"),
        ("GELU", "gelu"),
        ("SiLU", "silu"),
        ("swish", "silu"),
        ("h_swish", "hardswish"),
        ("hswish", "hardswish"),
        ("Hardswish", "hardswish"),
        ("h_sigmoid", "hardsigmoid"),
        ("Sigmoid", "sigmoid"),
        ("Tanh", "tanh"),
        ("Softmax", "softmax"),
        ("LogSoftmax", "log_softmax"),
        ("MaxPool2d k2", "maxpool k2"),
        ("max_pool k2", "maxpool k2"),
        ("maxpool2d k2", "maxpool k2"),
        ("maxpooling k2", "maxpool k2"),
        ("pool k2", "maxpool k2"),
        ("AvgPool2d k2", "avgpool k2"),
        ("avg_pool k2", "avgpool k2"),
        ("average_pool k2", "avgpool k2"),
        ("AdaptiveAvgPool2d 4", "adaptive_avgpool 4"),
        ("gap", "global_avgpool"),
        ("global_average_pooling", "global_avgpool"),
        ("GlobalAvgPool", "global_avgpool"),
        ("gmp", "global_maxpool"),
        ("Dropout 0.5", "dropout 0.5"),
        ("Dropout2d 0.5 -> relu", "dropout2d 0.5 -> relu"),
        ("spatial_dropout 0.5 -> relu", "dropout2d 0.5 -> relu"),
        ("stochastic_depth 0.1 -> relu", "drop_path 0.1 -> relu"),
        ("droppath 0.1 -> relu", "drop_path 0.1 -> relu"),
        ("Flatten", "flatten"),
        ("view [16, 1024]", "reshape [16, 1024]"),
        ("Reshape [16, 1024]", "reshape [16, 1024]"),
        ("permute (1, 2, 0)", "transpose (1, 2, 0)"),
        ("interpolate 2", "upsample 2"),
        ("Upsample 2", "upsample 2"),
        ("resize 2", "upsample 2"),
        ("PixelShuffle 2", "pixel_shuffle 2"),
        ("depth_to_space 2", "pixel_shuffle 2"),
        ("ZeroPad2d 1", "pad 1"),
        ("zero_padding 1", "pad 1"),
        ("dwconv k3", "depthwise k3"),
        ("depthwise_conv k3", "depthwise k3"),
        ("DepthwiseConv2D k3", "depthwise k3"),
        ("Identity", "identity"),
        ("residual { conv 16 k3 p1 }", "skip { conv 16 k3 p1 }"),
        ("cat { relu ; tanh }", "concat { relu ; tanh }"),
        ("Concatenate { relu ; tanh }", "concat { relu ; tanh }"),
        ("sum { relu ; tanh }", "add { relu ; tanh }"),
        ("multiply { relu ; tanh }", "mul { relu ; tanh }"),
        ("average { relu ; tanh }", "mean { relu ; tanh }"),
        ("maximum { relu ; tanh }", "max { relu ; tanh }"),
        # names that no single layer stands for
        ("glu", "mul { split 2 0 ; split 2 1 -> sigmoid }"),
        ("GLU", "mul { split 2 0 ; split 2 1 -> sigmoid }"),
        ("swiglu", "mul { split 2 0 -> silu ; split 2 1 }"),
        ("sepconv", "depthwise k3 p1 -> conv 64 k1"),
        ("SeparableConv2D", "depthwise k3 p1 -> conv 64 k1"),
        ("pixel_unshuffle", "conv 64 k2 s2"),
        # misspelled
        ("covn 8 k3", "conv 8 k3"),
        ("maxpol k2", "maxpool k2"),
        ("reul", "relu"),
        ("global_avg_pol", "global_avgpool"),
        # arguments of other frameworks
        ("conv 8 kernel=3", "conv 8 k=3"),
        ("conv 8 kernel_size=3", "conv 8 k=3"),
        ("conv 8 k3 stride=2", "conv 8 k3 s=2"),
        ("conv 8 k3 strides=2", "conv 8 k3 s=2"),
        ("conv 8 k3 padding=1", "conv 8 k3 p=1"),
        ("conv 8 k3 pad=1", "conv 8 k3 p=1"),
        ("conv 8 k3 padding=same", "conv 8 k3 p=same"),
        ("conv 8 k3 dilation=2", "conv 8 k3 d=2"),
        ("conv 8 k3 groups=2", "conv 8 k3 g=2"),
        ("conv 8 k3 use_bias=no", "conv 8 k3 bias=no"),
        ("conv k3 filters=8", "conv k3 out=8"),
        ("conv k3 out_channels=8", "conv k3 out=8"),
        ("maxpool pool_size=2", "maxpool k=2"),
        ("upsample scale_factor=2", "upsample scale=2"),
        ("dropout rate=0.5", "dropout p=0.5"),
        ("conv 8 k3 psame", "conv 8 k3 p=same"),
        ("conv 8 k3 bias=False", "conv 8 k3 bias=no"),
        ("conv 8 k3 bias=false", "conv 8 k3 bias=no"),
        ("conv 8 k3 bias=True", "conv 8 k3 bias=yes"),
        # layers behind layers
        ("conv 8 k3 relu", "conv 8 k3 -> relu"),
        ("conv 8 k3 p1 bn", "conv 8 k3 p1 -> bn"),
        ("conv 8 k3 activation=relu", "conv 8 k3 -> relu"),
        ("conv 8 activation=relu k3", "conv 8 k3 -> relu"),
        ("maxpool k2 relu", "maxpool k2 -> relu"),
        ("conv 8 k3 => relu", "conv 8 k3 -> relu"),
        ("conv 8 k3 >> relu", "conv 8 k3 -> relu"),
        # joins
        ("e1: conv 8 k3 p1; conv 8 k1; concat(e1)", "e1: conv 8 k3 p1; conv 8 k1; concat { identity ; @e1 }"),
        ("e1: conv 8 k3 p1; conv 8 k1; concat e1", "e1: conv 8 k3 p1; conv 8 k1; concat { identity ; @e1 }"),
        ("e1: conv 8 k1; conv 8 k1; add @e1", "e1: conv 8 k1; conv 8 k1; add { identity ; @e1 }"),
        ("a: conv 8 k1; b: conv 8 k1; concat [a, b]", "a: conv 8 k1; b: conv 8 k1; concat { @a ; @b }"),
        ("a: conv 8 k1; b: conv 8 k1; add { a, b }", "a: conv 8 k1; b: conv 8 k1; add { @a ; @b }"),
        ("a: conv 8 k1; b: conv 8 k1; add(a, b)", "a: conv 8 k1; b: conv 8 k1; add { @a ; @b }"),
        ("a: conv 8 k1; b: conv 8 k1; torch.cat([a, b], dim=1)", "a: conv 8 k1; b: conv 8 k1; concat { @a ; @b }"),
        ("concat { conv 8 k1, conv 8 k1 }", "concat { conv 8 k1 ; conv 8 k1 }"),
        # lines of Python
        ("conv1 = nn.Conv2d(3, 16, 3)", "conv1: conv 16 k3"),
        ("self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1)", "conv1: conv 16 k3 p1"),
        ("conv1 = nn.Conv2d(3, 16, (3, 5), bias=False)", "conv1: conv 16 k3x5 bias=no"),
        ("self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)", "up: deconv 8 k4 s2 p1"),
        ("self.bn1 = nn.BatchNorm2d(16)", "bn1: bn"),
        ("self.pool = nn.MaxPool2d(2)", "pool: maxpool k2"),
        ("x = F.relu(x)", "relu"),
        ("x = F.max_pool2d(x, 2)", "maxpool k2"),
        ("nn.Dropout(0.5)", "dropout 0.5"),
        ("nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())", "conv 8 k3 -> relu"),
        ("self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())", "stem: [ conv 8 k3 -> relu ]"),
        ("Sequential(conv 8 k3, relu)", "conv 8 k3 -> relu"),
        ("model.add(Conv2D(8, (3, 3), activation='relu'))", "conv 8 k3 -> relu"),
        ("x = layers.Conv2D(8, 3, padding='same')(x)", "conv 8 k3 p=same"),
        ("nn.GroupNorm(4, 16)", "gn 4"),
        ("nn.Upsample(scale_factor=2, mode='bilinear')", "upsample 2 mode=bilinear"),
        ("conv1 = conv 8 k3", "conv1: conv 8 k3"),
        ("conv(8, 3)", "conv 8 3"),
        ("conv(8, k=3)", "conv 8 k=3"),
        ("conv 8, k3", "conv 8 k3"),
        # percents and numbers
        ("dropout 50%", "dropout 0.5"),
        ("conv 8 3x3", "conv 8 k3x3"),
    ],
    VECTOR: [
        ("Linear 10", "dense 10"),
        ("linear 10", "dense 10"),
        ("fc 10", "dense 10"),
        ("Dense 10", "dense 10"),
        ("fully_connected 10", "dense 10"),
        ("dense units=10", "dense out=10"),
        ("dense out_features=10", "dense out=10"),
        ("dense 10 relu", "dense 10 -> relu"),
        ("dense 10 activation=relu", "dense 10 -> relu"),
        ("self.fc1 = nn.Linear(64, 10)", "fc1: dense 10"),
        ("fc1 = nn.Linear(in_features=64, out_features=10, bias=False)", "fc1: dense 10 bias=no"),
        ("Dense(10, activation='relu')", "dense 10 -> relu"),
        ("nn.LayerNorm(64)", "ln"),
        ("output: dense 10", "dense 10 -> output result"),
        ("dense 10; train { epochs 5 lr 0.01 }", "dense 10; train { epochs 5; optimizer sgd lr=0.01 }"),
        ("dense 10; train { lr 0.01 }", "dense 10; train { optimizer sgd lr=0.01 }"),
        ("dense 10; train { optimizer Adam(lr=0.01) }", "dense 10; train { optimizer adam lr=0.01 }"),
        ("dense 10; train { optimizer Adam lr=0.01 }", "dense 10; train { optimizer adam lr=0.01 }"),
        ("dense 10; train { epochs = 5 }", "dense 10; train { epochs 5 }"),
        ("dense 10; train { batch_size 5 }", "dense 10; train { batch 5 }"),
        ("dense 10; train { loss CrossEntropyLoss }", "dense 10; train { loss cross_entropy }"),
    ],
    SEQUENCE: [
        ("LSTM 32", "lstm 32"),
        ("GRU 32", "gru 32"),
        ("RNN 32", "rnn 32"),
        ("SimpleRNN 32", "rnn 32"),
        ("lstm hidden_size=32", "lstm hidden=32"),
        ("lstm 32 num_layers=2", "lstm 32 layers=2"),
        ("MultiheadAttention 8", "attention 8"),
        ("mha 8", "attention 8"),
        ("self_attention 8", "attention 8"),
        ("attention num_heads=8", "attention heads=8"),
        ("self.rnn = nn.LSTM(64, 32, batch_first=True)", "rnn: lstm 32"),
        ("nn.MultiheadAttention(64, 8)", "attention 8"),
        ("rope", "positions 512"),
        ("positional_encoding 20", "positions 20"),
    ],
    TOKENS: [
        ("Embedding 1000 64", "embedding 1000 64"),
        ("embed 1000 64", "embedding 1000 64"),
        ("embedding num_embeddings=1000 dim=64", "embedding count=1000 dim=64"),
        ("embedding 1000 embedding_dim=64", "embedding 1000 dim=64"),
        ("self.embed = nn.Embedding(1000, 64)", "embed: embedding 1000 64"),
    ],
}  # fmt: skip
"""By the input before them: lines as people write them first, and the lines to write."""

PROGRAMS = {
    "an input without a name": ("net n { input: 3x9x9; relu }", "net n { input image: 3x9x9; relu }"),
    "a capital input": ("net n { Input: 3x9x9; relu }", "net n { input image: 3x9x9; relu }"),
    "a capital net": ("Net n(c = 8) { input x: 3x9x9; conv c k3 }", "net n(c = 8) { input x: 3x9x9; conv c k3 }"),
    "a capital block": ("Block a = relu; net n { input x: 3x9x9; a }", "block a = relu; net n { input x: 3x9x9; a }"),
    "a hyphen": ("net my-net { input x: 3x9x9; relu }", "net my_net { input x: 3x9x9; relu }"),
    "conditions joined by `and`": (
        "net n { input x: 3xHxW where H >= 3 and W >= 3; conv 8 k3 }",
        "net n { input x: 3xHxW where H >= 3, W >= 3; conv 8 k3 }",
    ),
}
"""Whole programs as people write them first, and the programs to write; `;` stands for a new line."""


def found_in(text: str) -> tuple[Diagnostic, ...]:
    try:
        return check_text(text).warnings
    except NetdslError as error:
        return error.diagnostics


def applied(text: str, wrong: Diagnostic) -> Iterator[str]:
    """Yield the texts that the help of a message leads to."""
    span = wrong.span
    assert span is not None
    line_start = max(text.rfind(mark, 0, span.start) for mark in ("\n", ";", "{")) + 1
    ends = [place for mark in ("\n", ";", "}") if (place := text.find(mark, span.end)) >= 0]
    line_end = min(ends, default=len(text))
    line = text[line_start:line_end]
    margin = line[: len(line) - len(line.lstrip())]
    for word in re.findall(r"`([^`]*)`", wrong.help or ""):
        name = re.match(r"@?\w+", span.text)
        yield text[: span.start] + word + text[span.end :]
        yield text[: span.start] + word + text[span.start + len(name[0]) if name else span.end :]
        yield text[:line_start] + margin + word + text[line_end:]
        before = re.search(r"\S+\s*$", text[: span.start])
        if before is not None:  # an arrow of two marks, of which the second is underlined
            yield text[: before.start()] + word + text[span.end :]
    if "remove the comma" in (wrong.help or ""):
        yield text[: span.start] + text[span.end :]


CASES = [(f"{head}; {attempt}", f"{head}; {right}") for head, rows in ROWS.items() for attempt, right in rows]


def test_the_table_is_large():
    assert len(CASES) + len(PROGRAMS) >= 150
    assert len({attempt for attempt, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("attempt", "right"), CASES, ids=[attempt.partition("; ")[2] for attempt, _ in CASES])
def test_the_message_gives_the_line_to_write(attempt: str, right: str) -> None:
    lines = [re.sub(r"; (?![^{]*\})", "\n    ", line) for line in (attempt, right)]  # not those within braces
    hold(*(f"net n {{\n    {line}\n}}" for line in lines))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_message_gives_the_line_of_a_program(name: str) -> None:
    hold(*(text.replace("; ", "\n    ").replace("{ ", "{\n    ", 1) for text in PROGRAMS[name]))


def hold(attempt: str, right: str) -> None:
    assert [d.message for d in found_in(right) if d.severity == "error"] == []
    wrong = [d for d in found_in(attempt) if d.severity == "error"]
    assert len(wrong) == 1, [d.message for d in wrong]
    assert right in applied(attempt, wrong[0]), f"{wrong[0].message}: {wrong[0].help}"
