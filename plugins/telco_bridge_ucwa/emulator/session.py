"""The media session of audio and video: suspended and resumed, with the offers that are made while it is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import links, sdp
from .answers import Answer
from .directory import Place
from .errors import JSON, conflict, invalid
from .inputs import Ask
from .outcomes import EXPIRED
from .renegotiation import Renegotiation

if TYPE_CHECKING:
    from .audio_video import AudioVideo

__all__ = ["MediaSession"]


class MediaSession:
    """The `audioVideoSession` resource, for as long as audio and video are connected. Its inner rel is `session`.

    It takes one renegotiation at a time, of either side.
    """

    def __init__(self, audio_video: AudioVideo, *, context: str | None) -> None:
        self.audio_video = audio_video
        self.state = "Established"
        self.running: Renegotiation | None = None
        self._context = context
        keep = audio_video.conversation.keep
        self.place: Place = keep("audioVideoSession", get=lambda _: Answer(200, self.body()))
        self._links = {
            "renegotiations": keep("renegotiations", post=self._renegotiate),
            "resumeAudio": keep("resumeAudio", post=self._renegotiate),
            "resumeAudioVideo": keep("resumeAudioVideo", post=self._renegotiate),
        }

    @property
    def remote_endpoint(self) -> str:
        """The other party's endpoint that answered."""
        return f"{self.audio_video.conversation.remote.uri};epid=1"

    def body(self) -> JSON:
        """Return the resource."""
        body: JSON = {"rel": "session", "state": self.state, "remoteEndpoint": self.remote_endpoint}
        if self._context is not None:
            body["sessionContext"] = self._context
        conversation = self.audio_video.conversation
        around = {"audioVideo": self.audio_video.place.link(), "conversation": conversation.place.link()}
        offered = conversation.pool.offers(links.media_session(self.state))
        shown = {rel: self._links[rel].link() for rel in offered}
        return {**body, "_links": {"self": self.place.link(), **around, **shown}}

    def tell(self, type: str) -> None:  # noqa: A002 - UCWA's own word
        """Tell that the session has come, changed or gone."""
        application = self.audio_video.conversation.application
        body = None if type == "deleted" else self.body()
        application.emit(application.communication.place, self.place, type, body=body)

    def suspend(self, *, expires_after: float | None = None) -> None:
        """Park the session: the user has gone over to another device, and may come back before it expires."""
        if self.state == "Established":
            self.state = "Suspended"
            self.tell("updated")
            if expires_after is not None:
                self.audio_video.later(expires_after, self._expire)

    def _expire(self) -> None:
        if self.state == "Suspended":
            self.audio_video.cut(EXPIRED)

    def resumed(self) -> None:
        """Media flow again."""
        if self.state == "Suspended":
            self.state = "Established"
            self.tell("updated")

    def propose(self, media: str | None = None) -> Renegotiation:
        """Let the other party offer to go on with other media, by default the same ones anew."""
        audio_video = self.audio_video
        text = media if media is not None else sdp.offer_of(audio_video.media, chance=audio_video.pool.chance)
        renegotiation = Renegotiation(self, offer=text, operation_id=None)
        self.running = renegotiation
        renegotiation.started()
        return renegotiation

    def close(self) -> None:
        """The call is over, and its session with it."""
        if self.running is not None:
            self.running.abandon()
        self.tell("deleted")
        for place in (self.place, *self._links.values()):
            self.audio_video.pool.directory.retire(place)

    def _renegotiate(self, ask: Ask) -> Answer:
        """Take an offer of the client's, to change the media of a session or to go on with a suspended one."""
        audio_video = self.audio_video
        operation_id = ask.text("operationId", maximum=50, required=True)
        ask.check()
        if not ask.headers.get("content-type", "").startswith("application/sdp"):
            raise invalid(sdp="Required")
        try:
            offer = ask.body.decode("utf-8-sig")
            media = sdp.offered_media(offer)
        except ValueError:
            raise invalid(sdp="Invalid") from None
        if ask.place.rel not in audio_video.pool.offers(links.media_session(self.state)):
            raise conflict(f"The session is {self.state} and does not allow that now.")
        if self.running is not None or audio_video.invitation is not None:
            raise conflict("Another renegotiation is in progress.", "AlreadyExists")
        if not media:
            raise invalid(sdp="Invalid")
        audio_video.conversation.application.communication.claim(operation_id)
        renegotiation = Renegotiation(self, offer=offer, operation_id=operation_id)
        self.running = renegotiation
        located = [("Location", renegotiation.place.href)]
        return Answer(201, renegotiation.body(), headers=located, then=renegotiation.begin)
