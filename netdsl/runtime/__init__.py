"""Running models: sessions on a device, their inputs and outputs, and benchmarks."""

from netdsl.runtime.devices import PROVIDERS, Device
from netdsl.runtime.ports import Port
from netdsl.runtime.session import Session

__all__ = ["PROVIDERS", "Device", "Port", "Session"]
