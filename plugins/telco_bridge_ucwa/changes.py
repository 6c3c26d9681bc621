"""What one event did to the known resources."""

from __future__ import annotations

from dataclasses import dataclass

from .successions import KeptEnd
from .wire import Resource

__all__ = ["Change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one event did to the resources.

    `body` is the event's resource: as sent, else as last known. `lost` are the active modalities that the conversation
    had and has no longer. `before` is the state word that a newer snapshot replaced. `joined` says that only now the
    conversation showed that it carries a call; `stranger` that it never did, or that it is not to be told of. `late` is
    what was read for an invitation after its conversation had been deleted.

    `replaces` is the conversation whose call the event's invitation would take over, and `moved_from` the one whose
    call it has taken over now. `held` says that this may be the end of a call which goes on elsewhere, and is kept back
    until that is known; `released` is such an end of a call that goes on nowhere, and is told now. `over` are the
    conversations of which nothing more will be heard, and the invitation without one of which that is true.
    """

    body: Resource | None = None
    ref: str | None = None
    before: str | None = None
    lost: frozenset[str] = frozenset()
    joined: bool = False
    stranger: bool = False
    late: bool = False
    replaces: str | None = None
    moved_from: str | None = None
    held: bool = False
    released: KeptEnd | None = None
    over: tuple[str, ...] = ()
