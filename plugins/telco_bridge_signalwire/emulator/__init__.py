"""SignalWire's Compatibility API (LaML, cXML) in front of a simulated phone network."""

from .emulator import SignalWireEmulator
from .errors import ErrorShape
from .switches import Switches

__all__ = ["ErrorShape", "SignalWireEmulator", "Switches"]
