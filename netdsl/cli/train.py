"""`netdsl train`."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from netdsl.base.terminal import say, say_text, watched
from netdsl.cli.common import (
    allow_option,
    complete_net,
    echo_json,
    format_option,
    key_option,
    set_option,
    show_taken,
    show_warnings,
    size_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netdsl.base.diagnostics import Diagnostic
    from netdsl.recipe.settings import Settings
    from netdsl.training.history import Row
    from netdsl.training.run import Run
    from netdsl.training.samples.opening import Data
    from netdsl.weights.loading import CheckpointWeights


def _device(ctx: click.Context, param: click.Parameter, text: str) -> str:
    """Refuse a device on which PyTorch cannot train."""
    from netdsl.base.diagnostics import NetdslError
    from netdsl.runtime import Device

    try:
        kind = Device.parse(text).kind
    except NetdslError as error:
        raise click.BadParameter(error.diagnostics[0].message) from error
    if kind not in ("cpu", "cuda"):
        raise click.BadParameter(f"expected cpu, cuda or cuda:N to train on, got `{text}`")
    return text


class _TrainCommand(click.Command):
    """The command, whose unknown options may be entries of the recipe."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options; for `--epochs 3`, show `--set train.epochs=3`."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from netdsl.recipe.words import NUMBERS, WORDS

            name = error.option_name.lstrip("-").replace("-", "_")
            name = {"learning_rate": "lr", "batch_size": "batch"}.get(name, name)
            if name not in {*WORDS, *NUMBERS, "lr", "momentum", "decay"}:
                raise
            at = next(i for i, word in enumerate(given) if word.partition("=")[0] == error.option_name)
            value = given[at].partition("=")[2] or next(iter(given[at + 1 :]), "...")
            message = f"No such option '{error.option_name}': write `--set train.{name}={value}`."
            raise click.UsageError(message, ctx) from None


@click.command(cls=_TrainCommand)
@click.argument("net", shell_complete=complete_net)
@click.option("--data", required=True, metavar="DATA", help="digits, or a file or directory of training data.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The run's folder; the default is runs/NET.")
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in the folder.")
@click.option("--val", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="FRACTION",
              help="Use this fraction of the training data for validation.")  # fmt: skip
@click.option("--from", "file", type=click.Path(path_type=Path), metavar="FILE", help="Start with these weights.")
@key_option
@click.option("--partial", is_flag=True, help="Draw weights that --from lacks or has in another shape: a new head.")
@click.option("--freeze", multiple=True, metavar="PATTERN", help="Do not train these parameters (features.*).")
@click.option("--export", type=click.Choice(["best", "last"]),
              help="The epoch that becomes the model: that of the lowest validation loss, or the last. The default is "
              "best, unless test data serve for validation.")  # fmt: skip
@click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed", "64-true"]), default="32-true",
              show_default=True, help="The precision of computing.")  # fmt: skip
@click.option("--channels-last", is_flag=True, help="Keep the channels of images together in memory.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the module with torch.compile.")
@click.option("--processes", type=click.IntRange(1), help="Processes per machine; 1, or as torchrun starts them.")
@click.option("--machines", type=click.IntRange(1), help="Machines; 1, or as torchrun starts them.")
@click.option("--strategy", type=click.Choice(["auto", "ddp", "fsdp"]), default="auto", show_default=True,
              help="The strategy by which processes share the work.")  # fmt: skip
@size_option("A size that the input leaves open: H=224.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read, instead of stopping.")
@click.option("--tensorboard", is_flag=True, help="Write the metrics for TensorBoard, too.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@set_option
@allow_option
@format_option
@click.option("--device", default="cpu", callback=_device, metavar="DEVICE", show_default=True,
              help="cpu, cuda or cuda:N; never replaced by another one.")  # fmt: skip
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
    export: str | None,
    precision: str,
    channels_last: bool,
    compiled: bool,
    processes: int | None,
    machines: int | None,
    strategy: str,
    sizes: dict[str, int],
    skip_bad: bool,
    tensorboard: bool,
    quiet: bool,
    arguments: dict[str, Any],
    allowed: frozenset[str],
    form: str,
    device: str,
) -> None:
    """Train NET on data by its recipe.

    Checkpoints, metrics, weights and an ONNX model are written to a folder. `--set train.lr=0.05` changes the recipe:
    any of its entries, and any argument of an entry.
    """
    if file is None and (partial or key is not None):
        raise click.UsageError("--key and --partial belong to --from")
    if device == "cpu" and strategy == "fsdp":
        raise click.UsageError("--strategy fsdp shares memory of GPUs: it goes with --device cuda")
    if device == "cpu" and precision == "16-mixed":  # Lightning would take bf16 instead
        raise click.UsageError("--precision 16-mixed goes with --device cuda; a CPU computes in bf16-mixed")
    from netdsl.compiler import check
    from netdsl.training import need_packages

    changes = {name.removeprefix("train."): arguments.pop(name) for name in [*arguments] if name.startswith("train.")}
    checked = check(net, arguments)
    folder = output if output is not None else Path("runs") / checked.graph.name
    need_packages(folder, resume=resume, tensorboard=tensorboard)
    from netdsl.runtime import Device
    from netdsl.training.claim import LAST
    from netdsl.training.machine import Machine
    from netdsl.training.start import train_by_recipe

    each, nodes, external = _processes(processes, machines)
    machine = Machine.on(
        Device.parse(device), each, num_nodes=nodes, strategy=strategy, precision=precision, compile=compiled,
        channels_last=channels_last, external=external,
    )  # fmt: skip
    quiet = quiet or form == "json"
    shown = _Quiet() if quiet else _Shown(checked.warnings, allowed)
    try:
        done = train_by_recipe(
            checked.graph,
            data,
            folder,
            machine=machine,
            changes=changes,
            weights=file,
            taking={"key": key, "partial": partial},
            reading={"val": val, "sizes": sizes, "skip_bad": skip_bad},
            freeze=freeze,
            export=export,
            resume=resume,
            tensorboard=tensorboard,
            begin=shown.begin,
            announce=shown.announce,
            report=shown.report,
            warn=shown.warn,
            bar=not quiet and watched(),
        )
    except KeyboardInterrupt:
        if not (folder / LAST).exists():
            raise
        say("interrupted: the same command with `--resume` continues from the last epoch", err=True)
        click.get_current_context().exit(130)
    if done is not None and form == "json":
        echo_json({"folder": str(done.folder), "model": str(done.model), "weights": str(done.weights),
                   "best": done.best, "exported": done.exported, "history": [*done.history]})  # fmt: skip
    elif done is not None and not quiet:
        _conclude(done)


def _processes(processes: int | None, machines: int | None) -> tuple[int, int, bool]:
    """Return the processes per machine, the machines, and whether another program starts them."""
    from netdsl.training.machine import first_process, launched

    try:
        outside, _ = launched(), first_process()
    except ValueError as error:
        raise click.UsageError(f"WORLD_SIZE, LOCAL_WORLD_SIZE, RANK, LOCAL_RANK: {error}") from None
    if outside is None or outside == (1, 1):
        return processes or 1, machines or 1, False
    for name, requested, there in zip(("--processes", "--machines"), (processes, machines), outside, strict=True):
        if requested not in (None, there):
            raise click.UsageError(f"{name} {requested} contradicts the environment, which has {there}: leave it out")
    return *outside, True


def _conclude(done: Run) -> None:
    """Print which epoch became the model, and which was the best."""
    if done.best is not None:
        say(f"best epoch      {done.best}: held out {_figures(done.history[done.best - 1], 'val')}")
    say(f"exported epoch  {done.exported}: held out {_figures(done.history[done.exported - 1], 'val')}")
    say(f"written: {done.model} and {done.weights}")


class _Quiet:
    """Prints nothing of a run."""

    def begin(self, settings: Settings, data: Data, weights: CheckpointWeights | None) -> None:
        """Called when all files are read."""

    def announce(self, words: Mapping[str, str]) -> None:
        """Called with the summary of the run before it starts."""

    def report(self, row: Row) -> None:
        """Called with the metrics of each epoch."""

    def warn(self, warning: Diagnostic) -> None:
        """Called with each warning."""


class _Shown(_Quiet):
    """Prints the progress of a run."""

    def __init__(self, warnings: tuple[Diagnostic, ...], allowed: frozenset[str]) -> None:
        self.warnings, self.allowed = warnings, allowed
        self.epochs, self.since = 0, 0.0

    def begin(self, settings: Settings, data: Data, weights: CheckpointWeights | None) -> None:
        """Print what was taken from a checkpoint, and all warnings."""
        if weights is not None:
            show_taken(weights.fit)
        read = () if weights is None else weights.warnings
        show_warnings((*self.warnings, *read, *data.skipped), self.allowed)
        self.epochs, self.since = settings.epochs, perf_counter()

    def announce(self, words: Mapping[str, str]) -> None:
        """Print the summary, one heading after the other."""
        indent = max(map(len, words)) + 2
        for word, text in words.items():
            lines = wrap(text, 80 - indent, break_long_words=False, break_on_hyphens=False)
            say_text(word.ljust(indent) + ("\n" + " " * indent).join(lines))
        say("")

    def report(self, row: Row) -> None:
        """Print the metrics of an epoch in a line."""
        now = perf_counter()
        epoch = f"{row['epoch']:.0f}".rjust(len(str(self.epochs)))
        train, val = _figures(row, "train"), _figures(row, "val", "{:.4f}", "{:.2%}")  # in 80 columns
        say(f"epoch {epoch}/{self.epochs}  {train}  held out {val}  {now - self.since:.1f} s")
        self.since = now

    def warn(self, warning: Diagnostic) -> None:
        """Print a warning that is not allowed."""
        show_warnings((warning,), self.allowed)


def _figures(row: Row, phase: str, loss: str = "loss {:.4f}", accuracy: str = "accuracy {:.2%}") -> str:
    parts = ((loss, row[f"{phase}_loss"]), (accuracy, row.get(f"{phase}_accuracy")))
    return ", ".join(form.format(value) for form, value in parts if value is not None)
