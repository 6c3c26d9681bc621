"""A phone network on your own machine: no account, no traffic beyond loopback.

with Sandbox("ucwa", "signalwire", speed=20) as sandbox:
    async with connect(sandbox.profile("ucwa")) as bridge:
        call = await bridge.dial("+15550100")
"""

from .clock import NetworkClock, SteppedClock
from .emulator import Emulator, WireLog, WireRecord
from .exchange import Clearing, Exchange, Leg, LegEvent, LegState, Side
from .faults import Fault, Faults
from .network import Sandbox
from .numbers import DIRECTORY, Behaviour
from .toy import ToyCarrier
from .voices import SILENCE, Ear, Spoken, Tone, Voice

__all__ = [
    "DIRECTORY",
    "SILENCE",
    "Behaviour",
    "Clearing",
    "Ear",
    "Emulator",
    "Exchange",
    "Fault",
    "Faults",
    "Leg",
    "LegEvent",
    "LegState",
    "NetworkClock",
    "Sandbox",
    "Side",
    "Spoken",
    "SteppedClock",
    "Tone",
    "ToyCarrier",
    "Voice",
    "WireLog",
    "WireRecord",
]
