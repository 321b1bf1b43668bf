"""`netdsl train`."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.common import (
    allow_option,
    complete_net,
    device_option,
    key_option,
    set_option,
    show_taken,
    show_warnings,
    size_option,
)
from netdsl.terminal import say, watched

if TYPE_CHECKING:
    from netdsl.training.history import Row


@click.command()
@click.argument("net", shell_complete=complete_net)
@click.option("--data", required=True, metavar="DATA", help="digits, or a file or directory of data to learn from.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The run's folder; runs/NET unless given.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the folder.")
@click.option("--val", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="FRACTION",
              help="Judge each epoch by so much of the training data.")  # fmt: skip
@click.option("--from", "file", type=click.Path(path_type=Path), metavar="FILE", help="Begin with these weights.")
@key_option
@click.option("--partial", is_flag=True, help="Draw weights that --from lacks or has in another shape: a new head.")
@click.option("--freeze", multiple=True, metavar="PATTERN", help="Leave parameters as they are (features.*).")
@click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed", "64-true"]), default="32-true",
              show_default=True, help="What is computed with.")  # fmt: skip
@click.option("--channels-last", is_flag=True, help="Keep the channels of images together in memory.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the module by torch.compile.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes of each machine.")
@click.option("--machines", type=click.IntRange(1), default=1, show_default=True, help="Machines, as torchrun starts.")
@click.option("--strategy", type=click.Choice(["auto", "ddp", "fsdp"]), default="auto", show_default=True,
              help="How processes share the work.")  # fmt: skip
@size_option("A size that the input leaves open: H=224.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read, instead of stopping.")
@click.option("--tensorboard", is_flag=True, help="Write the figures for TensorBoard too.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@set_option
@allow_option
@device_option
def train(
    *,
    net: str,
    data: str,
    output: Path | None,
    resume: bool,
    val: float | None,
    file: Path | None,
    key: str | None,
    partial: bool,
    freeze: tuple[str, ...],
    precision: str,
    channels_last: bool,
    compiled: bool,
    processes: int,
    machines: int,
    strategy: str,
    sizes: dict[str, int],
    skip_bad: bool,
    tensorboard: bool,
    quiet: bool,
    arguments: dict[str, Any],
    allowed: frozenset[str],
    device: str,
) -> None:
    """Train NET on data by the recipe that it carries.

    Checkpoints, figures, weights and an ONNX model go into a folder. `--set train.lr=0.05` changes the recipe: any of
    its entries, and any argument of them.
    """
    if file is None and (partial or key is not None):
        raise click.UsageError("--key and --partial belong to --from")
    if device == "cpu" and strategy == "fsdp":
        raise click.UsageError("--strategy fsdp shares memory of GPUs: it goes with --device cuda")
    if device == "cpu" and precision == "16-mixed":  # Lightning would take bf16 instead
        raise click.UsageError("--precision 16-mixed goes with --device cuda; a CPU computes in bf16-mixed")
    from netdsl.training import need_packages

    need_packages(tensorboard=tensorboard)
    from netdsl.compiler import check
    from netdsl.outputs import remember
    from netdsl.passes.restore import named
    from netdsl.runtime import Device
    from netdsl.training.data.opening import open_data
    from netdsl.training.overrides import override
    from netdsl.training.run import Machine, initializer, prepared
    from netdsl.training.run import train as run
    from netdsl.training.settings import Settings

    changes = {name.removeprefix("train."): arguments.pop(name) for name in [*arguments] if name.startswith("train.")}
    checked = check(net, arguments)
    settings = Settings.of(override(checked.graph, changes))
    machine = Machine.on(
        Device.parse(device), processes, num_nodes=machines, strategy=strategy, precision=precision, compile=compiled,
        channels_last=channels_last,
    )  # fmt: skip
    remember([file] if file is not None else [])
    graph, weights = checked.graph, None
    if file is not None:
        from netdsl.trained import labels_of, load_trained

        graph, weights = load_trained(
            file, graph, labels=False, key=key, partial=partial, training=True, initial=initializer(settings)
        )
    samples = open_data(data, graph, settings, val=val, sizes=sizes, skip_bad=skip_bad)
    graph = prepared(graph, samples)
    if weights is not None:
        graph = named(graph, labels_of(weights))
    if not quiet:
        if weights is not None:
            show_taken(weights.fit)
        read = () if weights is None else weights.warnings
        show_warnings((*checked.warnings, *read, *samples.skipped), allowed)
    folder = output if output is not None else Path("runs") / graph.name
    done = run(
        graph,
        settings,
        samples,
        folder,
        machine=machine,
        weights=weights,
        freeze=freeze,
        resume=resume,
        tensorboard=tensorboard,
        tell=(lambda _: None) if quiet else _Lines(settings.epochs),
        bar=not quiet and watched(),
    )
    if done is not None and not quiet:
        say(f"{done.model} and {done.weights}")


class _Lines:
    """Tells the figures of each epoch in a line."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.since = epochs, perf_counter()

    def __call__(self, row: Row) -> None:
        now = perf_counter()
        epoch = f"{row['epoch']:.0f}".rjust(len(str(self.epochs)))
        train, val = _figures(row, "train"), _figures(row, "val")
        say(f"epoch {epoch}/{self.epochs}  {train}   held out: {val}   {now - self.since:.1f} s")
        self.since = now


def _figures(row: Row, phase: str) -> str:
    accuracy = row.get(f"{phase}_accuracy")
    return f"loss {row[f'{phase}_loss']:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:7.2%}")
