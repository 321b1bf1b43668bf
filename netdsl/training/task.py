"""The net and its recipe as a LightningModule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from netdsl.ir.deciding import described, taught
from netdsl.training.batches import stream
from netdsl.training.losses import make_loss, right_answers
from netdsl.training.optimizers import make_optimizer, make_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netdsl.ir.graph import Graph
    from netdsl.training.history import Row
    from netdsl.training.settings import Settings

    Batch = tuple[torch.Tensor, torch.Tensor]


class Task(LightningModule):
    """Trains `net` by the recipe in `settings`; the checkpoint's keys are those of the net behind `net.`.

    Args:
        net: the fx module of `graph`, or the same compiled.
        graph: the net's graph, which tells its outputs.
        settings: what to do.
        augment: changes the inputs of a training batch; None leaves them.
        frozen: modules that stay as they are in inference, so that batch norm keeps its statistics.
    """

    def __init__(
        self,
        net: nn.Module,
        graph: Graph,
        settings: Settings,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
        frozen: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.net, self.settings, self.augment = net, settings, augment
        self._frozen = tuple(frozen)
        self.main = next(iter(graph.outputs))  # what else a net gives is not what it learns
        self.gives = taught(graph, settings.loss)
        self.losses = {name: make_loss(settings.loss, gives) for name, gives in self.gives.items()}
        self.description = described(graph).as_metadata()
        self.schedule: Any = None
        self._resumed_at: dict[str, Any] | None = None
        self.history: list[Row] = []
        self.seen: dict[str, torch.Tensor] = {}

    def train(self, mode: bool = True) -> Task:
        """Set the mode, of what is frozen apart."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The first output of the net."""
        result: torch.Tensor = self._outputs(inputs)[self.main]
        return result

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:  # noqa: ARG002 - Lightning's signature
        """The loss of a batch: that of the main output, and of the auxiliary ones with their weight."""
        inputs, targets = batch
        if self.augment is not None:
            inputs = self.augment(inputs)
        outputs = self._outputs(inputs)
        loss = self.losses[self.main](outputs[self.main], targets)
        self._count("train", loss, outputs[self.main], targets)
        for name, aux in self.losses.items():
            if name != self.main:
                loss = loss + self.settings.aux_weight * aux(outputs[name], targets)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Count loss and right answers of a batch."""
        inputs, targets = batch
        scores = self(inputs)
        self._count("val", self.losses[self.main](scores, targets), scores, targets)

    def on_train_epoch_start(self) -> None:
        """Draw what an epoch draws from the same numbers, whether the run was interrupted before it or not.

        Lightning leaves the mode as it finds it at the start, and after validation sets it behind the modules' backs.
        """
        self.train()
        torch.manual_seed(stream(self.settings.seed, self.current_epoch) + self.global_rank)

    def on_train_epoch_end(self) -> None:
        """Log mean loss and accuracy of the epoch: of its training batches as they were met, of all validation samples.

        The schedule makes its step here and not in Lightning's hands, which move it after the checkpoint is written.
        """
        (rate,) = {group["lr"] for group in self.trainer.optimizers[0].param_groups}
        figures = {"rate": rate, **self._figures("train"), **self._figures("val")}
        self.history.append({"epoch": self.current_epoch + 1, **figures})
        self.log_dict(figures)
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(figures["val_loss"])
        elif self.schedule is not None:
            self.schedule.step()

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer; its schedule is kept here."""
        optimizer = make_optimizer(self.settings.optimizer, [p for p in self.net.parameters() if p.requires_grad])
        self.schedule = make_schedule(self.settings.schedule, optimizer, self.settings.epochs)
        if self.schedule is not None and self._resumed_at is not None:
            self.schedule.load_state_dict(self._resumed_at)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history, where the schedule stands, and what the weights are those of."""
        checkpoint["history"] = self.history
        checkpoint["netdsl"] = self.description
        if self.schedule is not None:
            checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history over, and remember where the schedule stood, which is made only later."""
        self.history = list(checkpoint["history"])
        self._resumed_at = checkpoint.get("schedule")

    def _outputs(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        outputs = self.net(inputs)
        return outputs if isinstance(outputs, dict) else {self.main: outputs}

    def _count(self, phase: str, loss: torch.Tensor, scores: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch to the sums of an epoch: loss, samples, right answers, answers; nothing leaves the device."""
        with torch.no_grad():
            right = right_answers(self.gives[self.main], scores, targets)
            right = targets.new_empty(0) if right is None else right
            samples, answers = loss.new_tensor([len(targets), right.numel()])
            sums = torch.stack([loss * samples, samples, right.sum(), answers])
            self.seen[phase] = self.seen[phase] + sums if phase in self.seen else sums

    def _figures(self, phase: str) -> dict[str, float]:
        """Mean loss and accuracy of an epoch over all processes; values have no accuracy."""
        sums = self.trainer.strategy.reduce(self.seen.pop(phase), reduce_op="sum")
        loss, samples, right, answers = (float(value) for value in sums)
        return {f"{phase}_loss": loss / samples} | ({f"{phase}_accuracy": right / answers} if answers else {})
