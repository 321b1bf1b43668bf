"""The devices and processes of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.runtime.torch_device import torch_device

if TYPE_CHECKING:
    from netdsl.runtime.devices import Device


@dataclass(frozen=True)
class Machine:
    """The devices and the precision of a run; the names are those of pytorch_lightning.Trainer.

    With `external`, another program starts the processes, and gives each its rank in the environment.
    """

    accelerator: str = "cpu"
    devices: int | list[int] = 1
    strategy: str = "auto"
    num_nodes: int = 1
    precision: str = "32-true"
    compile: bool = False
    channels_last: bool = False
    external: bool = False

    @property
    def processes(self) -> int:
        """The number of processes on all machines."""
        return (self.devices if isinstance(self.devices, int) else len(self.devices)) * self.num_nodes

    @staticmethod
    def on(device: Device, processes: int = 1, **options: Any) -> Machine:
        """Return `processes` processes on a device and those after it; `options` are further fields.

        Raises:
            NetdslError: PyTorch cannot use the device (E0904).
        """
        if torch_device(device).type == "cpu":
            return Machine("cpu", processes, **options)
        return Machine("cuda", [*range(device.ordinal, device.ordinal + processes)], **options)


ONE_CPU = Machine()


def launched() -> tuple[int, int] | None:
    """Return the processes per machine and the machines if torchrun or the like started this process; else None.

    Raises:
        ValueError: the environment holds values that are not numbers.
    """
    if not {"WORLD_SIZE", "RANK", "LOCAL_RANK"} <= os.environ.keys():
        return None
    world = int(os.environ["WORLD_SIZE"])
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return local, world // local


def first_process() -> bool:
    """Whether this process is the first of a run, which alone writes files.

    The rank stands in the environment of all processes that torchrun, Lightning, Slurm or jsrun start; Lightning looks
    for it under these names, in this order.
    """
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
    return int(next((os.environ[name] for name in names if name in os.environ), 0)) == 0
