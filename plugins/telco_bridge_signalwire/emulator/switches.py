"""What SignalWire leaves open, decided by whoever runs the emulator."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ErrorShape

__all__ = ["Switches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The emulator's behaviour where SignalWire's documentation is silent or contradicts itself."""

    error_shape: ErrorShape = ErrorShape.USUAL
    rich_callbacks: bool = True
    """Call callbacks carry everything documented; otherwise only what captured traffic has shown."""
    inline_documents: bool = True
    """`Laml` and `Twiml` are accepted. They were documented once and withdrawn."""
    stale_updates: bool = False
    """Answers to updates show the status from before the update."""
    completed_while_ringing: str = "canceled"
    """What `Status=completed` makes of a call that is not answered: `canceled` or `no-answer`."""
    stopped_stream: int = 20404
    """The code for stopping a stream that is stopped: 20404, 21220 or 10000."""
    stoppable_two_way_streams: bool = True
    """`Status=stopped` stops a two-way stream too; otherwise it is refused (21220)."""
    strict_one_way_streams: bool = False
    """A one-way stream on which the application says something ends with an error; otherwise that is ignored."""
    verify_caller: bool = False
    """`From` must be one of the project's numbers (21210); otherwise every well-formed number counts as verified."""
    calls_per_second: float | None = None
    """How fast queued calls are dialled; None dials each at once. SignalWire's default is 1."""
    posts_per_window: int | None = None
    """How many changes are admitted within ten seconds before 429; None admits all. SignalWire's limit is 13,800."""
    retry_after: bool = False
    """Such a 429 says when to come again. SignalWire documents neither that nor the opposite."""
    scopes: frozenset[str] = frozenset({"Voice", "Numbers"})
    """What the token may be used for."""
    scope_status: int = 401
    """What a token without the scope is answered: 401, or 403. Both are documented."""
    machines: frozenset[str] = frozenset()
    """The addresses at which a machine answers."""
    resumed_recording: str = "in-progress"
    """The status of a recording that goes on after a pause: `in-progress` or `resumed`."""
    protected_media: bool = False
    """The sound of recordings is for those alone who know the token. SignalWire's default is that it is public."""
    release_cooldown: float = 0.0
    """Network seconds after its purchase in which a phone number cannot be released (409)."""
    price_per_minute: float = 0.01
    """A `MaxPricePerMinute` below this is refused."""
