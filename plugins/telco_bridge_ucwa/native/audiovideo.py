"""Audio and video beyond the neutral words: sessions, renegotiations, early media, and every link of the modality."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping

from telco_bridge.provider import AnswerLost, Refused, TooLate, happens_by

from ..inputs import checked_text
from ..reasons import decline_reason, termination_reason
from ..resources import AUDIO, PHONE, VIDEO
from ..wire import Resource, offer_id_in, sdp_in
from .mediaviews import (
    ERROR_CODES,
    AudioVideoPolicies,
    AudioVideoView,
    RemoteProposal,
    RenegotiationDecline,
    view_of,
)
from .modality import UcwaModality
from .sessions import MediaAnswer, MediaSession, Renegotiation, session_of

__all__ = ["UcwaAudioVideo"]

_TRIES = 4
"""How often an offer is made while the server is busy with another one."""
_PAUSE = (0.5, 2.0)
"""Seconds between those: at random, because the other party waits too. Each further pause is twice as long."""
_DOUBT = 20.0
"""Seconds for which the answer to an offer is waited for that the server may never have heard of."""


class UcwaAudioVideo(UcwaModality):
    """The audio and video of a conversation: `bridge.native(UcwaApplication).conversation(call).audio_video`.

    Session descriptions are of Microsoft's ICE and SRTP flavour, and the media are the application's own. A method
    whose link the server does not offer now raises `TooLate`, and nothing is sent; every method raises `ProviderError`
    where the server says no or cannot be reached. Escalation to a conference is `UcwaConversation.escalate`.
    """

    rel = "audioVideo"

    @property
    def view(self) -> AudioVideoView:
        """Audio and video as events last told of it. Raises `TooLate` where nothing is known of it."""
        return view_of(self._known())

    async def refresh(self) -> AudioVideoView:
        """Read it now. Raises `TooLate` where the conversation is over."""
        return view_of(await self._read())

    async def policies(self) -> AudioVideoPolicies:
        """Read what the user may do with audio and video."""
        body = await self._linked("audioVideoPolicies")
        return AudioVideoPolicies(
            join_scheduled_online_meeting=body.text("joinScheduledOnlineMeeting"), multi_view=body.text("multiView")
        )

    # Media added and stopped

    async def add_audio(
        self,
        offer: str,
        *,
        to: str | None = None,
        session_context: str | None = None,
        join_audio_muted: bool | None = None,
        timeout: float = 45.0,
    ) -> None:
        """Add audio, and return once the other party has taken it; what it answered is in `answers`.

        `to` is by default the other party. Raises `Refused`, with the reason as its `termination`, where it does not
        take it, and `AnswerLost` where nothing tells that within `timeout` seconds.
        """
        native = {"to": to, "sessionContext": session_context, "joinAudioMuted": join_audio_muted}
        await self._add("addAudio", frozenset({AUDIO}), offer, native, timeout)

    async def add_video(
        self,
        offer: str,
        *,
        to: str | None = None,
        session_context: str | None = None,
        join_video_muted: bool | None = None,
        timeout: float = 45.0,
    ) -> None:
        """Add video, as `add_audio` does audio."""
        native = {"to": to, "sessionContext": session_context, "joinVideoMuted": join_video_muted}
        await self._add("addVideo", frozenset({VIDEO}), offer, native, timeout)

    async def add_audio_video(
        self,
        offer: str,
        *,
        to: str | None = None,
        session_context: str | None = None,
        join_audio_muted: bool | None = None,
        join_video_muted: bool | None = None,
        timeout: float = 45.0,
    ) -> None:
        """Add audio and video with one offer, as `add_audio` does audio. The other party may take one of them."""
        native = {
            "to": to,
            "sessionContext": session_context,
            "joinAudioMuted": join_audio_muted,
            "joinVideoMuted": join_video_muted,
        }
        await self._add("addAudioVideo", frozenset({AUDIO, VIDEO}), offer, native, timeout)

    async def _add(
        self, rel: str, slots: frozenset[str], offer: str, native: Mapping[str, object], timeout: float
    ) -> None:
        await self._invite(rel, slots, native, invitation="audioVideoInvitation", offer=offer, timeout=timeout)

    async def stop_audio(self, reason: str | None = None, *, in_body: bool = False) -> None:
        """Stop audio, and keep video. `reason` is one of UCWA's CallTerminationReason, sent in the query or the body.

        Raises `Refused` for any other word.
        """
        await self._stop("stopAudio", reason, in_body=in_body)

    async def stop_video(self, reason: str | None = None, *, in_body: bool = False) -> None:
        """Stop video, and keep audio. The reason is as for `stop_audio`."""
        await self._stop("stopVideo", reason, in_body=in_body)

    async def stop_audio_video(self, reason: str | None = None, *, in_body: bool = False) -> None:
        """Stop both. The reason is as for `stop_audio`."""
        await self._stop("stopAudioVideo", reason, in_body=in_body)

    async def _stop(self, rel: str, reason: str | None, *, in_body: bool) -> None:
        word = termination_reason(None, {"reason": reason})
        if word is None:
            await self._do(rel)
        elif in_body:
            await self._do(rel, body={"reason": word})
        else:
            await self._do(rel, query=(("reason", word),))

    async def replace_with_phone_audio(
        self, *, to: str | None = None, phone_number: str | None = None, timeout: float = 90.0
    ) -> None:
        """Carry the audio of this call on the user's phone from now on; return once the phone has taken it over.

        The call stays the same, its streams change. Raises what `add_audio` raises.
        """
        await self._invite(
            "replaceWithPhoneAudio",
            frozenset({PHONE}),
            {"to": to, "phoneNumber": phone_number},
            invitation="phoneAudioInvitation",
            timeout=timeout,
        )

    # The media session

    async def session(self) -> MediaSession:
        """Read the media session. Raises `TooLate` where the call has none now."""
        return session_of(await self._linked("audioVideoSession"))

    async def renegotiate(self, offer: str, *, timeout: float = 45.0) -> str:
        """Offer other media for the session, and return the other party's description.

        Hold of the application's own media is such an offer: `a=inactive` or `a=sendonly`. Where both parties offer at
        once, the server refuses one: it is offered again a few times, after pauses of random length, before `TooLate`
        is raised. Raises `Refused` where the other party does not take it, and `AnswerLost` where nothing tells that
        within `timeout` seconds.
        """
        return await self._offer("renegotiations", offer, timeout)

    async def resume_audio(self, offer: str, *, timeout: float = 45.0) -> str:
        """Go on with audio in a suspended session, and return the other party's description. As `renegotiate`."""
        return await self._offer("resumeAudio", offer, timeout)

    async def resume_audio_video(self, offer: str, *, timeout: float = 45.0) -> str:
        """Go on with audio and video in a suspended session. As `resume_audio`."""
        return await self._offer("resumeAudioVideo", offer, timeout)

    async def _offer(self, rel: str, offer: str, timeout: float) -> str:
        clock = self._door.host.clock
        for attempt in range(_TRIES):
            session = await self._linked("audioVideoSession")
            try:
                return await self._offer_once(session, rel, offer, timeout)
            except TooLate as error:
                running = error.status == 409 and (error.code or "").endswith("AlreadyExists")
                if not running or attempt == _TRIES - 1:
                    raise
            # It need not be unpredictable, only not the other party's.
            pause = random.uniform(*_PAUSE) * 2**attempt  # noqa: S311
            await clock.sleep_until(clock.now() + pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _offer_once(self, session: Resource, rel: str, offer: str, timeout: float) -> str:
        door, clock = self._door, self._door.host.clock
        with door.sessions.expect() as asked:
            query = (("operationId", asked.id),)
            try:
                answer = await door.post(session, rel, of="the session", query=query, sdp=offer)
            except AnswerLost:
                # Only an event can tell now that the server has heard of it.
                if not await happens_by(clock, asked.told, clock.now() + min(timeout, _DOUBT)):
                    raise
            else:
                door.sessions.place(asked, answer)
                await happens_by(clock, asked.told, clock.now() + timeout)
            return await self._answered(asked, rel, timeout)

    async def _answered(self, asked: Renegotiation, rel: str, timeout: float) -> str:
        if asked.lost:
            raise TooLate(f"{rel}: the call is over, the server has lost the application", provider="ucwa")
        sdp = asked.answer
        if sdp is None and asked.key is not None and (asked.event is None or asked.event.body is None):
            # The event was lost, or came without its resource.
            read = await self._door.get(asked.key, "audioVideoRenegotiation")
            sdp = sdp_in(read.data("mediaAnswer")) if read is not None else None
        if sdp is not None:
            return sdp
        if asked.over:
            raise Refused(f"{rel}: the other party keeps to the media there are ({asked.reason})", provider="ucwa")
        raise AnswerLost(
            f"{rel}: accepted, and nothing told the other party's answer within {timeout:g} s", provider="ucwa"
        )

    # What the other party proposes and answers

    @property
    def proposal(self) -> RemoteProposal | None:
        """The offer that waits for `answer` or `dismiss`, of which the call's event stream has told; None where none.

        Somebody to whom the other party hands the call over makes one too: once it is answered, the call goes on with
        them as the same call (`CallMoved`).
        """
        found = self._proposed()
        if found is None:
            return None
        body, replaces = found
        sdp = sdp_in(body.data("mediaOffer"))
        by = body.part("transferredBy")
        mover = by.text("uri") if by is not None else body.link("transferredBy")
        return RemoteProposal(sdp=sdp, replaces=replaces, transferred_by=mover) if sdp is not None else None

    def _proposed(self) -> tuple[Resource, bool] | None:
        replacing = self._door.resources.replacing(self._ref)
        if replacing is not None and replacing.rel == "audioVideoInvitation":
            return replacing, True
        offer = self._door.sessions.offer(self._ref)
        return (offer, False) if offer is not None else None

    async def answer(self, sdp: str) -> None:
        """Take what is proposed, with the application's own description. Raises `TooLate` where nothing is."""
        body, replaces = self._to_decide("answer")
        if replaces:
            await self._door.post(body, "acceptWithAnswer", of="the proposal", query=_processed(body), sdp=sdp)
            return
        await self._door.post(body, "answer", of="the proposal", sdp=sdp)
        self._door.sessions.decided(self._ref)

    async def dismiss(self, reason: RenegotiationDecline | None = None) -> None:
        """Keep to the media there are. Raises `TooLate` where nothing else is proposed."""
        body, replaces = self._to_decide("dismiss")
        if replaces:
            known = decline_reason(None, {"reason": None if reason is RenegotiationDecline.CONFLICT else reason})
            told: dict[str, object] | None = {"reason": known} if known is not None else None
            await self._door.post(body, "decline", of="the proposal", body=told)
            return
        told = {"reason": reason.value} if reason is not None else None
        await self._door.post(body, "dismiss", of="the proposal", body=told)
        self._door.sessions.decided(self._ref)

    def _to_decide(self, what: str) -> tuple[Resource, bool]:
        found = self._proposed()
        if found is None:
            raise TooLate(f"{what}: the other party proposes nothing now. Nothing was sent.", provider="ucwa")
        return found

    @property
    def answers(self) -> tuple[MediaAnswer, ...]:
        """What was answered to the offers of this conversation, oldest first. Provisional ones allow early media."""
        return self._door.sessions.answers(self._ref)

    async def send_provisional_answer(self, sdp: str) -> None:
        """Let media flow before a ringing call is answered. Raises `TooLate` where no call rings."""
        pending = self._pending("sendProvisionalAnswer")
        await self._door.post(pending, "sendProvisionalAnswer", of="the call", query=_processed(pending), sdp=sdp)

    def _pending(self, what: str) -> Resource:
        pending = self._door.resources.pending(self._ref)
        if pending is None:
            raise TooLate(f"{what}: no call rings there now. Nothing was sent.", provider="ucwa")
        return pending

    # The rest

    async def report_media_diagnostics(self, code: str, subcode: str | None = None) -> None:
        """Tell the server what went wrong with the application's media: an ErrorCode and an ErrorSubcode of UCWA's.

        While the call rings it is said of its invitation. Raises `Refused` for a code that UCWA does not have.
        """
        if code not in ERROR_CODES:
            raise Refused(
                f"{code!r} is no ErrorCode; UCWA knows {', '.join(sorted(ERROR_CODES))}. Nothing was sent.",
                provider="ucwa",
            )
        body: dict[str, object] = {"errorCode": code}
        if subcode is not None:
            body["errorSubcode"] = checked_text("subcode", subcode)
        pending = self._door.resources.pending(self._ref)
        if pending is not None and pending.link("reportMediaDiagnostics") is not None:
            await self._door.post(pending, "reportMediaDiagnostics", of="the invitation", body=body)
        else:
            await self._do("reportMediaDiagnostics", body=body)

    async def publish_quality(self, *, endpoint: str | None = None, experience: str | None = None) -> None:
        """Give the server the application's measures of the session's media.

        They are UCWA's `mediaEndpoint` and `mediaQualityOfExperience`, whose form it does not document.
        """
        given = {"mediaEndpoint": endpoint, "mediaQualityOfExperience": experience}
        body = {name: checked_text(name, value) for name, value in given.items() if value is not None}
        await self._door.post(
            await self._linked("audioVideoSession"), "publishCallQualityFeedback", of="the session", body=body
        )

    async def freeze_video(self) -> None:
        """Freeze the user's own video. UCWA names the link and documents nothing of its use."""
        await self._do("videoFreeze")

    async def _linked(self, rel: str) -> Resource:
        """Read what that link of the modality leads to."""
        href = (await self._with(rel)).link(rel)
        body = await self._door.get(href, rel) if href is not None else None
        if body is None:
            raise TooLate(f"{rel}: the call has none now", provider="ucwa")
        return body


def _processed(invitation: Resource) -> tuple[tuple[str, str], ...]:
    """The inputs beside an answer: a name for the session, and which of the alternatives was answered."""
    offer_id = offer_id_in(invitation.data("mediaOffer"))
    processed = (("processedOfferId", offer_id),) if offer_id is not None else ()
    return (("sessionContext", uuid.uuid4().hex), *processed)
