"""Conference, the noun of Dial: a call joins, waits, takes part, and goes on with its document after it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from .calls import Call
from .conferencing import ConferenceFull, Conferences
from .dialling import until_parted
from .documents import flag, number, words
from .execution import Execution
from .flow import FLOW
from .participants import JoinOrder, Participant
from .prompts import PROMPTS
from .races import first
from .recording_orders import document_recording
from .recordings import RecordingOrder, RecordingSource
from .space import Space
from .webhooks import Script, Subscription, Webhook

__all__ = ["Joining"]

_MUSIC = {name: verb for name, verb in {**FLOW, **PROMPTS}.items() if name in ("Pause", "Play", "Redirect", "Say")}
"""The verbs of documents that are heard while waiting, on hold, or as announcements."""
_BETWEEN = 1.0
"""Network seconds before such a document is fetched again."""
_DEFAULT_EVENTS = frozenset({"start", "end"})
"""SignalWire documents no default."""


class Joining:
    """How calls take part in conferences."""

    def __init__(self, space: Space, conferences: Conferences) -> None:
        self._space = space
        self._conferences = conferences

    async def join(self, execution: Execution, dial: Element, noun: Element) -> Mapping[str, str]:
        """Take part until somebody takes the call out; return what `action` is told then.

        Twilio documents `answered` for a Dial that has reached a conference.
        """
        execution.answer()
        order = self._order(execution, noun)
        try:
            participant = self._conferences.join(execution.call, order)
        except ConferenceFull:
            execution.note(16002, f"conference {order.name} is full")
            return {"DialCallStatus": "failed"}
        if order.coach is not None and participant.coached is None:
            execution.note(16002, "whom to coach is not in the conference")
        began = self._space.now()
        try:
            await until_parted(execution, dial, self._take_part(participant))
        finally:
            self._conferences.leave(participant)
        return {"DialCallStatus": "answered", "DialCallDuration": str(int(self._space.now() - began))}

    def announce(self, participant: Participant, webhook: Webhook) -> None:
        """Let one participant hear a document, beside whatever else it hears."""

        async def speak() -> None:
            await self._hear(participant, webhook)

        running = [task for task in participant.announcements if not task.done()]
        participant.announcements = [*running, self._space.spawn(speak())]

    async def _take_part(self, participant: Participant) -> None:
        """Return when the participant is no more one; let it hear until then what it is to hear."""
        while participant.present:
            music = self._music(participant)

            def otherwise(now: Webhook | None = music) -> bool:
                return not participant.present or self._music(participant) != now

            changed = participant.until(otherwise)
            await first(changed, self._repeat(participant, music))

    def _music(self, participant: Participant) -> Webhook | None:
        if participant.hold:
            return participant.hold_music
        return None if self._conferences.started(participant) else participant.wait_music

    async def _repeat(self, participant: Participant, music: Webhook | None) -> None:
        if music is None:
            await asyncio.Event().wait()
            return
        while True:
            await self._hear(participant, music)
            await self._space.pause(_BETWEEN)

    async def _hear(self, participant: Participant, webhook: Webhook) -> None:
        """Fetch and execute a document that may be heard only; an address that ends as a sound's is played itself."""
        call: Call = participant.call
        conference = self._conferences.all[participant.conference_sid]
        told = {"ConferenceSid": conference.sid, "FriendlyName": conference.friendly_name}
        execution = Execution(self._space, call, _MUSIC, answer=lambda: None, fields=told)
        if urlsplit(webhook.url).path.lower().endswith((".wav", ".mp3")):
            play = Element("Play")
            play.text = webhook.url
            await execution.perform([play])
        else:
            await execution.run(Script(document=webhook))

    def _order(self, execution: Execution, noun: Element) -> JoinOrder:
        callback = execution.webhook(noun, "statusCallback", "statusCallbackMethod")
        events = frozenset(noun.get("statusCallbackEvent", "").split())
        most = int(number(noun.get("maxParticipants"), 0))
        return JoinOrder(
            name=words(noun),
            muted=flag(noun.get("muted")),
            start_on_enter=flag(noun.get("startConferenceOnEnter"), default=True),
            end_on_exit=flag(noun.get("endConferenceOnExit")),
            beep=noun.get("beep", "true"),
            most=most or None,
            wait=execution.webhook(noun, "waitUrl", "waitMethod") if noun.get("waitUrl") else None,
            coach=noun.get("coach"),
            record=_record(execution, noun),
            subscription=Subscription(webhook=callback, events=events or _DEFAULT_EVENTS),
        )


def _record(execution: Execution, noun: Element) -> RecordingOrder | None:
    if noun.get("record") not in ("record-from-start", "true"):
        return None
    return document_recording(execution, noun, RecordingSource.CONFERENCE, trim="trim-silence")
