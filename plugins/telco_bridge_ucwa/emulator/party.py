"""Who takes part in calls: each of them once, however many conversations show it."""

from __future__ import annotations

from dataclasses import dataclass, field

from telco_bridge.media import Modality
from telco_bridge.sandbox.exchange import Leg

__all__ = ["Party", "name_of"]


def name_of(uri: str) -> str:
    """Return what a party of that address is called, of whom nothing else is known."""
    scheme, _, rest = uri.partition(":")
    return rest.partition("@")[0] if scheme.lower() == "sip" else rest


@dataclass(slots=True, eq=False)
class Party:
    """Somebody in a conversation. In a conference every conversation of a client shows the same parties."""

    uri: str
    name: str
    network: str = "Everyone"
    role: str = "Attendee"
    organizer: bool = False
    anonymous: bool = False
    in_lobby: bool = False
    counted: bool = True
    """Whether it is anybody at all, and not the conference itself."""
    uses: set[Modality] = field(default_factory=set[Modality])
    muted: set[Modality] = field(default_factory=set[Modality])
    legs: list[Leg] = field(default_factory=list[Leg])
    """The calls that lead to somebody who is in a conference by them."""

    @property
    def view(self) -> str:
        """The view of a conference that the party is in."""
        return "lobby" if self.in_lobby else f"{self.role.lower()}s"
