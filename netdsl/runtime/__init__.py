"""Running models: sessions on a device, what goes into them and comes out, and how fast they are."""

from netdsl.runtime.devices import PROVIDERS, Device
from netdsl.runtime.ports import Port
from netdsl.runtime.session import Session

__all__ = ["PROVIDERS", "Device", "Port", "Session"]
