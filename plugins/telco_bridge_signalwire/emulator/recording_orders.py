"""The recordings that a request or a document asks for, checked the way SignalWire documents it."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from .errors import ApiError
from .execution import Execution
from .forms import Form
from .orders import webhook
from .recordings import RecordingOrder, RecordingSource, RecordingTrack

__all__ = ["call_recording", "document_recording", "rest_recording"]

_EVENTS = ("completed", "in-progress", "absent")
_CHANNELS = {"mono": 1, "dual": 2}


def rest_recording(form: Form, source: RecordingSource = RecordingSource.CALL_API) -> RecordingOrder:
    """Read the parameters of `POST Recordings`. Raises `ApiError`."""
    return _order(form, source, trim="do-not-trim")


def call_recording(form: Form) -> RecordingOrder | None:
    """Read those of `POST Calls`, where silence is trimmed by default; None where `Record` does not ask for any.

    Raises `ApiError`, asked for or not.
    """
    order = _order(form, RecordingSource.OUTBOUND_API, trim="trim-silence")
    wanted = form.get("Record")
    if wanted not in (None, "", "true", "false"):
        raise ApiError(10000, "Record is invalid")
    return order if wanted == "true" else None


def document_recording(
    execution: Execution,
    element: Element,
    source: RecordingSource,
    *,
    channels: int = 1,
    track: RecordingTrack = RecordingTrack.BOTH,
    trim: str = "do-not-trim",
) -> RecordingOrder:
    """Read the attributes of a verb or noun that records. What cannot be understood there is as if it were absent."""
    events = frozenset(element.get("recordingStatusCallbackEvent", "").split()) & frozenset(_EVENTS)
    wanted = element.get("recordingTrack")
    return RecordingOrder(
        source=source,
        channels=channels,
        track=RecordingTrack(wanted) if wanted in list(RecordingTrack) else track,
        trim=element.get("trim", trim) == "trim-silence",
        callback=execution.webhook(element, "recordingStatusCallback", "recordingStatusCallbackMethod"),
        events=events or frozenset({"completed"}),
    )


def _order(form: Form, source: RecordingSource, *, trim: str) -> RecordingOrder:
    channels = form.get("RecordingChannels") or "mono"
    if channels not in _CHANNELS:
        raise ApiError(10000, "RecordingChannels is invalid")
    track = form.get("RecordingTrack") or RecordingTrack.BOTH
    if track not in list(RecordingTrack):
        raise ApiError(10000, "RecordingTrack is invalid")
    trim = form.get("Trim") or trim
    if trim not in ("trim-silence", "do-not-trim"):
        raise ApiError(13699)
    # SignalWire documents one text with blanks between; Twilio's clients repeat the name.
    events = frozenset(" ".join(form.all("RecordingStatusCallbackEvent")).split())
    if not events <= frozenset(_EVENTS):
        raise ApiError(13621)
    return RecordingOrder(
        source=source,
        channels=_CHANNELS[channels],
        track=RecordingTrack(track),
        trim=trim == "trim-silence",
        callback=webhook(form, "RecordingStatusCallback", "RecordingStatusCallbackMethod", 21456),
        events=events or frozenset({"completed"}),
    )
