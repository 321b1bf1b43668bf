"""The net and its recipe as a LightningModule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from netdsl.base.diagnostics import Diagnostic, NetdslError, fail
from netdsl.ir.deciding import described, taught
from netdsl.training.claim import LAST
from netdsl.training.last import not_finite
from netdsl.training.losses import make_loss, right_answers
from netdsl.training.optimizers import make_optimizer, make_schedule
from netdsl.training.samples.batches import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netdsl.ir.graph import Graph
    from netdsl.recipe.settings import Settings
    from netdsl.training.history import Row

    Batch = tuple[torch.Tensor, torch.Tensor, int, float]


class DivergedError(NetdslError):
    """A loss or a weight became NaN or infinite (E1104); raised in all processes at once."""


class Task(LightningModule):
    """Trains `net` by the recipe in `settings`; the checkpoint's keys are those of the net with the prefix `net.`.

    Args:
        net: the fx module of `graph`, possibly compiled.
        graph: the net's graph, which has its outputs.
        settings: the recipe.
        augment: changes the inputs of a training batch; None leaves them as they are.
        frozen: modules that stay in evaluation mode, so that batch norm keeps its statistics.
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
        self.main = next(iter(graph.outputs))  # only the first output is trained, and auxiliary ones
        self.gives = taught(graph, settings.loss)
        self.losses = {name: make_loss(settings.loss, gives) for name, gives in self.gives.items()}
        self.description = described(graph).as_metadata()
        self.schedule: Any = None
        self._resumed_at: dict[str, Any] | None = None
        self.history: list[Row] = []
        self.seen: dict[str, torch.Tensor] = {}
        self._newest: tuple[str, int, torch.Tensor] | None = None

    def train(self, mode: bool = True) -> Task:
        """Set the mode, except of frozen modules."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the first output of the net."""
        result: torch.Tensor = self._outputs(inputs)[self.main]
        return result

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Return the loss of a batch: that of the main output, and of the auxiliary ones with their weight.

        Raises:
            DivergedError: the loss of the previous batch is NaN or infinite.
            NetdslError: the loss does not depend on any trained parameter (E1106).
        """
        inputs, targets, own, weight = batch
        if self.augment is not None:
            inputs = self.augment(inputs)
        outputs = {name: _counted(values, own) for name, values in self._outputs(inputs).items()}
        targets = _counted(targets, own)
        loss = self.losses[self.main](outputs[self.main], targets)
        self._count("train", loss, outputs[self.main], targets, own)
        for name, aux in self.losses.items():
            if name != self.main:
                loss = loss + self.settings.aux_weight * aux(outputs[name], targets)
        if not loss.requires_grad:
            raise fail("E1106", "the loss does not depend on any trained parameter", help="freeze less, or train a net "
                       "whose parameters reach its output by layers that have derivatives")  # fmt: skip
        self._watch("training", index, loss)
        return loss if weight == 1 else loss * weight

    def validation_step(self, batch: Batch, index: int) -> None:
        """Count the loss and the right answers of a batch.

        Raises:
            DivergedError: the loss of the previous batch is NaN or infinite.
        """
        inputs, targets, own, _ = batch
        scores, targets = _counted(self(inputs), own), _counted(targets, own)
        loss = self.losses[self.main](scores, targets)
        self._count("val", loss, scores, targets, own)
        self._watch("validation", index, loss)

    def on_train_epoch_start(self) -> None:
        """Seed the generators of an epoch, so that an interrupted run continues with the same random numbers.

        Lightning keeps the mode that it finds at the start, and sets it after validation without calling `train`.
        """
        self.train()
        torch.manual_seed(stream(self.settings.seed, self.current_epoch) + self.global_rank)

    def on_train_epoch_end(self) -> None:
        """Log mean loss and accuracy of the epoch, of its training batches as they ran, and of all validation samples.

        The schedule is stepped here and not by Lightning, which steps it only after the checkpoint is written.

        Raises:
            DivergedError: a loss or a weight is NaN or infinite; no checkpoint was written.
        """
        self._need_finite_loss()
        self._need_finite_weights()
        (rate,) = {group["lr"] for group in self.trainer.optimizers[0].param_groups}
        figures = {"rate": rate, **self._figures("train"), **self._figures("val")}
        self.history.append({"epoch": self.current_epoch + 1, **figures})
        self.log_dict(figures)
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(figures["val_loss"])
        elif self.schedule is not None:
            self.schedule.step()

    def configure_optimizers(self) -> Any:
        """Return the recipe's optimizer; the schedule is kept in this object."""
        optimizer = make_optimizer(self.settings.optimizer, [p for p in self.net.parameters() if p.requires_grad])
        self.schedule = make_schedule(self.settings.schedule, optimizer, self.settings.epochs)
        if self.schedule is not None and self._resumed_at is not None:
            self.schedule.load_state_dict(self._resumed_at)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the history, the state of the schedule, and the description of the net."""
        checkpoint["history"] = self.history
        checkpoint["netdsl"] = self.description
        if self.schedule is not None:
            checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the history, and keep the state of the schedule, which is created later."""
        self.history = list(checkpoint["history"])
        need_progress(checkpoint["loops"]["fit_loop"], self.trainer.fit_loop.state_dict(), len(self.history))
        self._resumed_at = checkpoint.get("schedule")

    def _outputs(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        outputs = self.net(inputs)
        return outputs if isinstance(outputs, dict) else {self.main: outputs}

    def _watch(self, phase: str, index: int, loss: torch.Tensor) -> None:
        """Check the loss of the previous batch, which a device has computed by now, so that nothing has to wait."""
        self._need_finite_loss()
        self._newest = phase, index, loss.detach()

    def _need_finite_loss(self) -> None:
        if self._newest is not None:
            (phase, index, loss), self._newest = self._newest, None
            if self._in_any_process(not bool(loss.isfinite())):
                raise self._diverged(f"the {phase} loss is {loss.item()} at batch {index + 1}")

    def _need_finite_weights(self) -> None:
        name = not_finite(self.net.state_dict())
        if self._in_any_process(name is not None):
            raise self._diverged(f"`{name or 'a weight'}` holds nan or infinity at the end")

    def _in_any_process(self, problem: bool) -> bool:
        """Whether this process or another has a problem."""
        return bool(self.trainer.strategy.reduce_boolean_decision(problem, all=False))

    def _diverged(self, problem: str) -> DivergedError:
        path = f"{self.trainer.default_root_dir}/{LAST}"
        epoch = self.current_epoch
        kept = f"`{path}` holds the weights {f'after epoch {epoch}' if epoch else 'before the first epoch'}"
        remedy = (
            "train again with a smaller rate or bounded gradients: `-o FOLDER --set train.lr=...` or `train.clip=1`"
        )
        remedy += f"; `--from {path}` starts with these weights" if epoch else ""
        return DivergedError([Diagnostic("E1104", f"{problem} of epoch {epoch + 1}", notes=(kept,), help=remedy)])

    def _count(self, phase: str, loss: torch.Tensor, scores: torch.Tensor, targets: torch.Tensor, own: int) -> None:
        """Add a batch to the sums of an epoch: loss, samples, right answers, all answers; nothing leaves the device.

        If another process counts all of the samples (`own` is 0), nothing is added.
        """
        with torch.no_grad():
            right = right_answers(self.gives[self.main], scores, targets)
            right = targets.new_empty(0) if right is None else right
            counts = own, right.sum() * bool(own), right.numel() * bool(own)
            sums = torch.stack([torch.as_tensor(count, dtype=torch.float64) for count in (loss * own, *counts)])
            self.seen[phase] = self.seen[phase] + sums if phase in self.seen else sums

    def _figures(self, phase: str) -> dict[str, float]:
        """Return mean loss and accuracy of an epoch over all processes; values have no accuracy."""
        sums = self.trainer.strategy.reduce(self.seen.pop(phase), reduce_op="sum")
        loss, samples, right, answers = (float(value) for value in sums)
        return {f"{phase}_loss": loss / samples} | ({f"{phase}_accuracy": right / answers} if answers else {})


def need_progress(progress: Any, fresh: Mapping[str, Any], epochs: int) -> None:
    """Check the progress in a checkpoint, which Lightning does not check.

    Args:
        progress: the state of Lightning's loop in the checkpoint.
        fresh: the same state of a loop that has not started.
        epochs: the number of epochs with metrics in the checkpoint: all that were started, because it is written at
            the end of an epoch.

    Raises:
        ValueError: it is not the progress after these epochs.
    """
    if _shape(progress, fresh) != _shape(fresh, fresh):
        raise ValueError("the state of its loop has other entries")
    now, batches = progress["epoch_progress"]["current"], progress["epoch_loop.batch_progress"]
    if {now["ready"], now["started"], now["processed"]} != {epochs} or batches["is_last_batch"] != (epochs > 0):
        raise ValueError(f"the state of its loop is not that after {epochs} epochs")


def _shape(state: Any, like: Any) -> Any:
    """Return the keys of nested dictionaries down to the depth of `like`, and the types of the values there.

    The state `epoch_loop.state_dict` is left out: it has no entries before the first epoch.
    """
    if isinstance(like, dict) and isinstance(state, dict):
        return {key: _shape(value, like.get(key)) for key, value in state.items() if key != "epoch_loop.state_dict"}
    return type(state)


def _counted(values: torch.Tensor, own: int) -> torch.Tensor:
    """Return the samples at the end of a batch that count; all samples if none counts, to keep the shape."""
    return values[len(values) - own :] if own else values
