"""One offer to go on with other media while a call is up, of the client's or of the other party's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import links, sdp
from .answers import Answer
from .errors import JSON, conflict, invalid
from .inputs import Ask
from .outcomes import CANCELLED, NOT_ACCEPTABLE, Outcome

if TYPE_CHECKING:
    from .session import MediaSession

__all__ = ["DECLINE_REASONS", "Renegotiation"]

DECLINE_REASONS = (
    "Unknown",
    "MediaAllocationFailure",
    "EncryptionMismatch",
    "IPv6NotSupported",
    "UnsupportedMedia",
    "InvalidMediaOffer",
    "InsufficientBandwidth",
    "Conflict",
)
"""UCWA's `ReNegotiationDeclineReason`."""


class Renegotiation:
    """The `audioVideoRenegotiation` resource, which lives in the event channel. Without an id it is an incoming one."""

    def __init__(self, session: MediaSession, *, offer: str, operation_id: str | None) -> None:
        self.offer = offer
        self.answer: str | None = None
        """The description with which it was answered."""
        self.dismissed: str | None = None
        """The reason with which the client has refused it."""
        self._session = session
        self._operation_id = operation_id
        self._conversation = session.audio_video.conversation
        keep = self._conversation.keep
        self.place = keep("audioVideoRenegotiation", get=lambda _: Answer(200, self.body()))
        self._links = {"answer": keep("answer", post=self._answer), "dismiss": keep("dismiss", post=self._dismiss)}

    @property
    def pending(self) -> bool:
        """Whether it is undecided."""
        return self._session.running is self

    def body(self) -> JSON:
        """Return the resource."""
        incoming = self._operation_id is None
        shown: JSON = {
            "self": self.place.link(),
            "conversation": self._conversation.place.link(),
            "audioVideoSession": self._session.place.link(),
        }
        if incoming:
            shown["mediaOffer"] = {"href": sdp.data_uri(self.offer)}
        if self.answer is not None:
            shown["mediaAnswer"] = {"href": sdp.data_uri(self.answer)}
        offered = links.renegotiation(incoming=incoming, pending=self.pending)
        shown |= {rel: self._links[rel].link() for rel in self._conversation.pool.offers(offered)}
        named = {} if incoming else {"operationId": self._operation_id}
        direction = "Incoming" if incoming else "Outgoing"
        return {"rel": "audioVideoRenegotiation", "direction": direction, **named, "_links": shown}

    def started(self) -> None:
        """Tell that the offer was made."""
        self._tell("started")

    def begin(self) -> None:
        """Let the other party think about the client's offer."""
        self.started()
        audio_video = self._session.audio_video
        audio_video.later(audio_video.pool.settings.add_media_takes, self._far_side_decides)

    def abandon(self) -> None:
        """The call has ended before this was decided."""
        self._end(CANCELLED)

    def _far_side_decides(self) -> None:
        """The other party keeps to the media there are: it takes fewer, and no further ones."""
        audio_video = self._session.audio_video
        if not self.pending:
            return
        media = sdp.offered_media(self.offer) & audio_video.media
        if not media:
            self._end(NOT_ACCEPTABLE)
            return
        self.answer = sdp.answer_to(self.offer, media, session=audio_video.pool.chance.randrange(1, 10**9))
        self._end(None)
        self._session.resumed()
        if audio_video.leg is not None:
            audio_video.leg.set_held(sdp.holds(self.offer))
            audio_video.leg.set_media(media)

    def _answer(self, ask: Ask) -> Answer:
        self._require_pending()
        if not ask.headers.get("content-type", "").startswith("application/sdp"):
            raise invalid(sdp="Required")
        try:
            text = ask.body.decode("utf-8-sig")
            media = sdp.offered_media(text)
        except ValueError:
            raise invalid(sdp="Invalid") from None

        def take() -> None:
            self.answer = text
            self._end(None)
            leg = self._session.audio_video.leg
            if leg is not None and media:
                leg.set_media(media)

        return Answer(204, then=take)

    def _dismiss(self, ask: Ask) -> Answer:
        reason = ask.choice("reason", DECLINE_REASONS)
        ask.check()
        self._require_pending()

        def refuse() -> None:
            self.dismissed = reason or "Unknown"
            self._end(Outcome("Failed", "LocalFailure", "Declined", "The offer was dismissed."))

        return Answer(204, then=refuse)

    def _require_pending(self) -> None:
        if not self.pending:
            raise conflict("The renegotiation was decided already.")

    def _end(self, failure: Outcome | None) -> None:
        self._session.running = None
        reason = failure.reason() if failure is not None else None
        self._tell("completed", status="Success" if failure is None else "Failure", reason=reason)

    def _tell(self, type: str, *, status: str | None = None, reason: JSON | None = None) -> None:  # noqa: A002
        application = self._conversation.application
        hub = application.communication.place
        application.emit(hub, self.place, type, body=self.body(), status=status, reason=reason)
