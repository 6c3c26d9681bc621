"""What is known of a call, as an application sees it."""

from __future__ import annotations

from collections.abc import Mapping

from .capabilities import Capability
from .dispatch import Dispatch
from .eventlog import Cursor
from .reports import CallDirection, CallState, Party
from .switchboard import CallRecord
from .termination import Termination
from .views import Asked, CallView

__all__ = ["CallFacts"]


class CallFacts:
    """Everything that can be read off a call, and nothing that changes it."""

    def __init__(self, record: CallRecord, dispatch: Dispatch) -> None:
        self._record = record
        self._dispatch = dispatch

    @property
    def view(self) -> CallView:
        """Everything that is known of the call, as a frozen value."""
        return self._record.view

    @property
    def id(self) -> str:
        """Our own identity of the call, known before anybody was dialled."""
        return self._record.id

    @property
    def native_id(self) -> str | None:
        """The provider's identity of the call, once it is known."""
        return self.view.ref

    @property
    def direction(self) -> CallDirection:
        """Who started it."""
        return self.view.direction

    @property
    def state(self) -> CallState:
        """How far it has come, as reported."""
        return self.view.state

    @property
    def remote(self) -> Party | None:
        """The far end."""
        return self.view.remote

    @property
    def local(self) -> Party | None:
        """The near end."""
        return self.view.local

    @property
    def held(self) -> bool | None:
        """Whether this side holds the far end; None where nothing was said."""
        return self.view.held

    @property
    def muted(self) -> bool | None:
        """Whether this side is muted; None where nothing was said."""
        return self.view.muted

    @property
    def asked(self) -> Asked | None:
        """The newest command that was sent and is neither refused nor done, and since when."""
        return self.view.asked[-1] if self.view.asked else None

    @property
    def termination(self) -> Termination | None:
        """Why it ended; None until that is settled."""
        return self.view.termination

    @property
    def decide_by(self) -> float | None:
        """When an inbound call must be answered, rejected or redirected, in seconds since the epoch."""
        return self.view.decide_by

    @property
    def remote_sdp(self) -> str | None:
        """The far end's session description, where the application brings the media."""
        return self.view.remote_sdp

    @property
    def native(self) -> Mapping[str, object]:
        """The provider's newest record of the call, in its own words."""
        return self.view.native

    @property
    def owned(self) -> bool:
        """Whether it was dialled or answered here, so that closing the bridge hangs it up."""
        return self._record.owned and not self._record.released

    def can(self, capability: Capability) -> bool:
        """Whether the provider can do it at all and the state allows it now."""
        return self._dispatch.can(capability, self.view)

    def events(self) -> Cursor:
        """The call's events from its beginning to its end, as an async iterator."""
        return Cursor(self._record.log, 0, until_call_ends=True)
