"""The progress of an epoch, in one line of the terminal that is overwritten."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from pytorch_lightning import Callback

from netdsl.base.terminal import show_in_place

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

_PAUSE = 0.1
"""Seconds between two updates of the line."""


class Bar(Callback):
    """Writes the line to stderr, a terminal.

    Lightning's own bar counts epochs from 0, and other output runs into it.
    """

    def __init__(self) -> None:
        self._shown = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Show the batches that have been trained on."""
        self._show(trainer, "batch", trainer.fit_loop.epoch_loop.batch_idx, trainer.num_training_batches)

    def on_validation_batch_end(self, trainer: Trainer, *rest: Any) -> None:
        """Show the number of validation batches."""
        self._show(trainer, "held out, batch", rest[3], trainer.num_val_batches[0])

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        """Clear the line, because the summary of the epoch follows."""
        self._clear(trainer)

    def on_exception(self, trainer: Trainer, *_: Any) -> None:
        """Clear the line, because the error follows."""
        self._clear(trainer)

    def _clear(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            show_in_place("")
            self._shown = 0.0

    def _show(self, trainer: Trainer, what: str, index: int, count: float) -> None:
        if not trainer.is_global_zero or monotonic() - self._shown < _PAUSE:
            return
        width = len(str(trainer.max_epochs))
        epoch = f"epoch {trainer.current_epoch + 1:{width}}/{trainer.max_epochs}"
        show_in_place(f"{epoch}  {what} {index + 1} of {count:.0f}")
        self._shown = monotonic()
