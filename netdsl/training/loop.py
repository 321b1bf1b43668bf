"""The training run: Lightning's Trainer over the net's module, with files that are whole whenever it is killed."""

from __future__ import annotations

import ctypes
import io
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from netdsl.files import whole_file
from netdsl.training.batches import Batches, shuffled

if TYPE_CHECKING:
    from netdsl.training.batches import Samples
    from netdsl.training.settings import Settings
    from netdsl.training.task import Task


class Feed(LightningDataModule):
    """The batches of each epoch, in that epoch's order."""

    def __init__(self, train: Samples, val: Samples, settings: Settings) -> None:
        super().__init__()
        self.train, self.val, self.settings = train, val, settings

    def train_dataloader(self) -> Batches:
        """All training samples once, shuffled."""
        trainer = self.trainer
        assert trainer is not None  # noqa: S101 - Lightning asks while it trains
        order = shuffled(len(self.train), self.settings.seed, trainer.current_epoch)
        return self._batches(self.train, order, trainer)

    def val_dataloader(self) -> Batches:
        """All validation samples once."""
        assert self.trainer is not None  # noqa: S101 - likewise
        return self._batches(self.val, None, self.trainer)

    def _batches(self, samples: Samples, order: torch.Tensor | None, trainer: Trainer) -> Batches:
        return Batches(samples, self.settings.batch, order, rank=trainer.global_rank, world=trainer.world_size)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear under their names when they are whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint; a process killed meanwhile leaves the one before."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with whole_file(target) as file:
            file.write(buffer.getbuffer())


def fit(
    task: Task, train: Samples, val: Samples, folder: Path, *, resume: Path | None = None, **options: Any
) -> Trainer:
    """Train.

    Args:
        task: what to train, and how.
        train: the samples to learn from.
        val: the samples that each epoch is judged by.
        folder: where `last.ckpt`, `best.ckpt` and `metrics.csv` go.
        resume: a checkpoint to go on from; the result is then that of a run which was not interrupted.
        options: of pytorch_lightning.Trainer: `accelerator`, `devices`, `precision`, ...
    """
    _keep_memory()
    settings = task.settings
    best = ModelCheckpoint(folder, "best", monitor="val_loss", save_last=True, enable_version_counter=False)
    callbacks: list[Any] = [best]
    if settings.early_stop is not None:
        callbacks.append(EarlyStopping("val_loss", patience=settings.early_stop))
    trainer = Trainer(
        max_epochs=settings.epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip,
        logger=CSVLogger(folder, name="", version=""),
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(task, datamodule=Feed(train, val, settings), ckpt_path=resume)
    return trainer


def _keep_memory() -> None:
    """Let the C library keep what training frees, which would otherwise be mapped and cleared anew at every step."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
