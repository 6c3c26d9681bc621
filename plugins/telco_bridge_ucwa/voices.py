"""The user's own audio in each conversation, as far as the server may mute it."""

from __future__ import annotations

from .wire import Resource

__all__ = ["Voices"]


class Voices:
    """The newest participantAudio of the user, by conversation. Addresses are compared as they are given."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Resource, float]] = {}

    def put(self, ref: str, key: str, audio: Resource, as_of: float) -> None:
        """Keep the user's own audio in that conversation, unless a newer one is known."""
        known = self._known.get(ref)
        if known is None or known[2] <= as_of:
            self._known[ref] = (key, audio, as_of)

    def get(self, ref: str) -> Resource | None:
        """The user's own audio in that conversation."""
        known = self._known.get(ref)
        return known[1] if known is not None else None

    def is_known(self, ref: str, key: str | None) -> bool:
        """Whether that address is the user's own audio there."""
        known = self._known.get(ref)
        return known is not None and known[0] == key

    def forget(self, ref: str) -> None:
        """The user has no audio in that conversation any more."""
        self._known.pop(ref, None)

    def clear(self) -> None:
        """What was known is not certain any more."""
        self._known.clear()
