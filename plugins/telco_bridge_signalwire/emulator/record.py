"""The verb Record, which records what the far end says; and what Dial says of recording."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from xml.etree.ElementTree import Element

from telco_bridge.sandbox.exchange import Leg

from .calls import Call
from .dialling import RecordDial
from .documents import number
from .execution import Execution, Redirected
from .races import first
from .recorder import Recorder
from .recording_orders import document_recording
from .recordings import RecordingSource, RecordingTrack

__all__ = ["RecordVerb", "record_dial"]

_KEYS = "1234567890*#"
_TIMEOUT = 5.0
_LONGEST = 3600.0
_LISTEN_EVERY = 0.25
"""Network seconds after which it is asked again whether the far end is still speaking."""
_RATE = 8000


_OF_DIAL = {
    "true": 1,
    "record-from-answer": 1,
    "record-from-ringing": 1,
    "record-from-answer-dual": 2,
    "record-from-ringing-dual": 2,
}
"""What `record` of a Dial may say, and on how many channels that is. Nothing is heard while it rings."""


class RecordVerb:
    """Record as one project's documents say it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def record(self, execution: Execution, verb: Element) -> None:
        """Record the far end, and let the document of `action` go on.

        Without an `action` the running document's own address is asked again; where nothing was said, the next verb
        goes on. Both are as Twilio documents them. The beep is not simulated, and nothing is transcribed.
        """
        call = execution.call
        if call.leg is None:
            return
        order = document_recording(
            execution, verb, RecordingSource.RECORD, track=RecordingTrack.INBOUND, trim="trim-silence"
        )
        recording = self._recorder.start(call, order)
        try:
            digits, spoke = await self._listen(execution, verb, call.leg)
        finally:
            self._recorder.stop(recording)
        if not spoke and not digits:
            return
        target = execution.webhook(verb) if verb.get("action") else execution.base
        if target is not None:
            told = {
                "RecordingSid": recording.sid,
                "RecordingUrl": recording.url(execution.space),
                "RecordingDuration": str(int(recording.seconds)),
            }
            raise Redirected(target, {**told, "Digits": digits})

    async def _listen(self, execution: Execution, verb: Element, leg: Leg) -> tuple[str, bool]:
        """Return the key that has ended it, and whether anything was said."""
        space = execution.space
        finish = verb.get("finishOnKey", _KEYS)
        timeout = number(verb.get("timeout"), _TIMEOUT)
        longest = number(verb.get("maxLength"), 0.0) or _LONGEST
        pressed, spoke = "", False

        async def key() -> None:
            nonlocal pressed
            while not pressed:
                digit = await keys.get()
                pressed = digit if digit in finish else ""

        async def silence() -> None:
            nonlocal spoke
            quiet, heard_until = 0.0, space.exchange.media_now()
            while quiet < timeout:
                await space.pause(_LISTEN_EVERY)
                quiet += _LISTEN_EVERY
                now = space.exchange.media_now()
                if any(leg.speech(heard_until, 0, round((now - heard_until) * _RATE), rate=_RATE)):
                    quiet, spoke = 0.0, True
                heard_until = now

        with execution.call.keypad.listen() as keys:
            await first(key(), silence(), space.pause(longest))
        return pressed, spoke


def record_dial(recorder: Recorder) -> RecordDial:
    """Return what records the conversations of Dial: the call on one side, whoever it speaks with on the other."""

    @contextmanager
    def record(execution: Execution, dial: Element, child: Call) -> Generator[Mapping[str, str]]:
        told: dict[str, str] = {}
        channels = _OF_DIAL.get(dial.get("record", ""))
        if channels is None:
            yield told
            return
        order = document_recording(execution, dial, RecordingSource.DIAL, channels=channels)
        connected = [child.leg] if child.leg is not None else []
        recording = recorder.start(execution.call, order, connected=connected)
        try:
            yield told
        finally:
            recorder.stop(recording)
            told["RecordingUrl"] = recording.url(execution.space)

    return record
