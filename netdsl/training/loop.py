"""The training loop: Lightning's Trainer on the net's module, with files that are complete even if it is killed."""

from __future__ import annotations

import ctypes
import io
import logging
import signal
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from netdsl.base.diagnostics import fail
from netdsl.base.files import whole_file
from netdsl.plots.curves import METRICS
from netdsl.training.bar import Bar
from netdsl.training.claim import BEST, LAST
from netdsl.training.history import write_history
from netdsl.training.samples.batches import counted, shuffled, smallest
from netdsl.training.task import DivergedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netdsl.recipe.settings import Settings
    from netdsl.training.history import Row
    from netdsl.training.samples.opening import Source
    from netdsl.training.task import Task

WATCHED = "val_loss"


def fit(  # noqa: PLR0913 - each of them is a choice of its own
    task: Task,
    train: Source,
    val: Source,
    folder: Path,
    *,
    least: int = 1,
    choosing: bool = True,
    external: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    bar: bool = False,
    report: Callable[[Row], None] = lambda _: None,
    **options: Any,
) -> Trainer:
    """Train.

    Args:
        task: the net and the recipe.
        train: the samples to train on.
        val: the validation samples of each epoch.
        folder: the folder of `last.ckpt`, `best.ckpt` and `metrics.csv`.
        least: the smallest batch of each process; a smaller last batch is left out.
        choosing: whether validation samples may select the best epoch, which becomes `best.ckpt`.
        external: whether the environment gives the rank and the number of processes, as with torchrun.
        resume: continue from `last.ckpt`; the result equals that of an uninterrupted run.
        tensorboard: write the metrics for TensorBoard, too.
        bar: show a progress bar.
        report: called with the metrics of each epoch.
        options: of pytorch_lightning.Trainer: `accelerator`, `devices`, `precision`, ...

    Raises:
        KeyboardInterrupt: the user stopped the run, which can be resumed.
        DivergedError: a loss or a weight became NaN or infinite (E1104); in the first process only, the others end.
    """
    _keep_memory()
    settings = task.settings
    first = _First()
    callbacks: list[Callback] = [first]
    if choosing:
        best = ModelCheckpoint(
            folder, Path(BEST).stem, monitor=WATCHED, save_on_train_epoch_end=True, enable_version_counter=False
        )
        callbacks.append(best)
    callbacks.append(_Kept(folder, report))  # after the best, so that the last checkpoint knows the best score
    if settings.early_stop is not None:
        callbacks.append(_Patience(WATCHED, patience=settings.early_stop, check_on_train_epoch_end=True))
    if bar:
        callbacks.append(Bar())
    with _quiet():
        trainer = Trainer(
            default_root_dir=folder,
            max_epochs=settings.epochs,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip,
            callbacks=callbacks,
            plugins=[WholeCheckpoints(), *([TorchElasticEnvironment()] if external else [])],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            enable_model_summary=False,
            enable_progress_bar=False,
            logger=TensorBoardLogger(folder, name="", version="tensorboard") if tensorboard else False,
            **options,
        )
        feed = Feed(train, val, settings, least)
        with _interruptible(trainer):
            try:
                trainer.fit(task, datamodule=feed, ckpt_path=folder / LAST if resume else None, weights_only=True)
            except DivergedError:
                if trainer.is_global_zero:
                    raise
            except Exception as error:
                if resume and not first.started:  # Lightning's error for a checkpoint of something else
                    reason = " ".join(str(error).split())[:300] or type(error).__name__
                    raise fail("E1102", f"`{folder / LAST}` is not the checkpoint of this run: {reason}",
                                          help="start again in another folder") from error  # fmt: skip
                raise
    return trainer


class Feed(LightningDataModule):
    """The batches of each epoch, in that epoch's order.

    A batch consists of its inputs, its targets, the number of samples at its end that count (several processes may get
    the same sample, and only one of them counts it), and the weight of their mean loss in a step.
    """

    def __init__(self, train: Source, val: Source, settings: Settings, least: int) -> None:
        super().__init__()
        self.train, self.val, self.settings, self.least = train, val, settings, least

    def train_dataloader(self) -> Any:
        """Return all training samples once, shuffled; without a last batch that is too small."""
        order = shuffled(len(self.train), self.settings.seed, self._trainer.current_epoch)
        if smallest(len(order), self.settings.batch, self._trainer.world_size) < self.least:
            order = order[: len(order) - len(order) % (self.settings.batch * self._trainer.world_size)]
        return self._batches(self.train, order, self.settings.accumulate)

    def val_dataloader(self) -> Any:
        """Return all validation samples once."""
        return self._batches(self.val, torch.arange(len(self.val)), 1)

    @property
    def _trainer(self) -> Trainer:
        assert self.trainer is not None  # noqa: S101 - Lightning sets it before training
        return self.trainer

    def _batches(self, samples: Source, order: torch.Tensor, accumulate: int) -> _Weighted:
        rank, world = self._trainer.global_rank, self._trainer.world_size
        batches = samples.batches(self.settings.batch, order, rank=rank, world=world)
        return _Weighted(batches, [*counted(len(order), self.settings.batch, rank, world)], accumulate)


class _Weighted:
    """Batches with their weights; Lightning divides by `accumulate` even in a shorter last window."""

    def __init__(self, batches: Any, counts: list[tuple[int, float]], accumulate: int) -> None:
        self.batches, self.counts, self.accumulate = batches, counts, accumulate

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, int, float]]:
        whole = len(self) - len(self) % self.accumulate
        for index, ((inputs, targets), (own, weight)) in enumerate(zip(self.batches, self.counts, strict=True)):
            window = self.accumulate if index < whole else len(self) - whole
            yield inputs, targets, own, weight * self.accumulate / window


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that appear only when they are complete."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint; if the process is killed meanwhile, the previous one stays."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with whole_file(target) as file:
            file.write(buffer.getbuffer())


class _First(Callback):
    """Saves the state before the first step, so that there is a checkpoint from the start."""

    started = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        self.started = True
        if trainer.global_step == 0:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST)


class _Patience(EarlyStopping):
    """Lightning's early stopping, which would otherwise run one more epoch when a stopped run is resumed."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        trainer.should_stop = self.wait_count >= self.patience


class _Kept(Checkpoint):
    """Saves the state of each epoch, then its metrics, and reports these last.

    Lightning saves the last state only when it saves a better one, and its own table loses rows when a run is resumed.
    """

    def __init__(self, folder: Path, report: Callable[[Row], None]) -> None:
        self.folder, self.report = folder, report

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Run after the module's own hook, as for all checkpoint callbacks."""
        trainer.save_checkpoint(self.folder / LAST)
        history: list[Row] = pl_module.history  # type: ignore[assignment] # it is a Task
        self._write(trainer, history)
        if trainer.is_global_zero:
            self.report(history[-1])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002 - Lightning's
        """Write the metrics that a killed run did not write."""
        self._write(trainer, checkpoint["history"])

    def _write(self, trainer: Trainer, history: list[Row]) -> None:
        if trainer.is_global_zero:
            write_history(history, self.folder / METRICS)


@contextmanager
def _interruptible(trainer: Trainer) -> Iterator[None]:
    """Undo Lightning's reaction to an interrupt: it exits Python, and ignores further interrupts."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's banners, and its advice that does not apply to batches cut from memory."""
    packages = ("pytorch_lightning", "lightning_fabric")
    loggers = [logging.getLogger(f"{name}{part}") for name in packages for part in ("", ".utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _keep_memory() -> None:
    """Let the C library keep memory that training frees, which would otherwise be mapped and cleared at every step."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
