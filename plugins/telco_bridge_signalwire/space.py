"""What a SignalWire space can do beyond the neutral words."""

from __future__ import annotations

from telco_bridge_laml.space import (
    CallEntry,
    Conference,
    ConferenceStatus,
    Listing,
    Participant,
    Project,
    RecordingEntry,
    StreamEntry,
)

__all__ = [
    "CallEntry",
    "Conference",
    "ConferenceStatus",
    "Listing",
    "Participant",
    "RecordingEntry",
    "SignalWireSpace",
    "StreamEntry",
]


class SignalWireSpace(Project):
    """The native side of a SignalWire bridge: `bridge.native(SignalWireSpace)`.

    Records of calls and recordings, and conferences. Every method raises `ProviderError` where SignalWire says no or
    cannot be reached.
    """
