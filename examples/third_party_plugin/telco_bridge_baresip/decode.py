"""What baresip says, as facts.

Replies to questions are text for people. Only what is needed is read off it: identity, state, direction, peer, hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telco_bridge.provider import (
    CallReport,
    CallState,
    Cause,
    Dialled,
    DigitHeard,
    Invitation,
    MediaDirection,
    Modality,
    Party,
    Source,
    StreamReport,
    StreamState,
    Transport,
)

from .wire import Event, Reply

__all__ = [
    "CLOSED",
    "PROCESS",
    "SIP",
    "Line",
    "Stat",
    "accounts",
    "cause_of_close",
    "cause_of_death",
    "decode_call",
    "decode_event",
    "is_muted",
    "is_outgoing",
    "lines",
    "stat",
    "was_found",
    "words",
]

SIP = "SIP"
"""The dialect of ends that the far side gave a SIP status for."""

CLOSED = "baresip.closed"
"""The dialect of all other words of CALL_CLOSED."""

PROCESS = "baresip.process"
"""The dialect of calls that ended with the program."""

AUDIO = "audio"
"""The slot of a call's only stream."""

_EVENTS = {
    "CALL_INCOMING": CallState.RINGING,
    "CALL_RINGING": CallState.RINGING,
    "CALL_PROGRESS": CallState.RINGING,
    "CALL_ESTABLISHED": CallState.CONNECTED,
    "CALL_CLOSED": CallState.ENDED,
}
_STATES = {
    "INCOMING": CallState.RINGING,
    "OUTGOING": CallState.DIALING,
    "RINGING": CallState.RINGING,
    "EARLY": CallState.RINGING,
    "ESTABLISHED": CallState.CONNECTED,
}
_SILENT = frozenset({"CALL_LOCAL_SDP", "CALL_REMOTE_SDP", "CALL_RTCP", "CALL_DTMF_END", "CALL_MENC"})
"""Events that say nothing about the life of a call."""

_STATUS = re.compile(r"([1-7][0-9]{2})(?: (.*))?", re.DOTALL | re.ASCII)
_LINE = re.compile(
    r"^(?P<current>[> ]) \[line (?P<number>[0-9]+)\] +[0-9:]+ +(?P<state>[A-Z?]+) +"
    r"(?P<held>\(on hold\))? *(?P<peer>\S*)[^\n]*$",
    re.MULTILINE | re.ASCII,
)
_CALL_DEBUG = re.compile(r"^=+ Call debug \((?P<state>[^)\n]*)\) =+$", re.MULTILINE)
_PARTY = r"^ {name}_uri: +(?P<display>.*?) ?<(?P<address>[^>\n]*)>$"
_LOCAL = re.compile(_PARTY.format(name="local"), re.MULTILINE)
_PEER = re.compile(_PARTY.format(name="peer"), re.MULTILINE)
_ID = re.compile(r"^ af=\S* id=(?P<id>\S+)$", re.MULTILINE)
_DIRECTION = re.compile(r"^ direction: (?P<direction>Outgoing|Incoming)$", re.MULTILINE)
_ACCOUNT = re.compile(r"^(?P<current>[> ]) (?P<aor>sips?:\S+)(?P<status>[^\n]*)$", re.MULTILINE)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A call as `listcalls` shows it: without its identity."""

    number: int
    current: bool
    state: str
    held: bool
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """The current call as `callstat` shows it."""

    id: str
    state: str
    outgoing: bool | None = None
    peer: Party | None = None
    local: Party | None = None


# Events


def is_outgoing(event: Event) -> bool:
    """Whether the event is about a call that was started from this side."""
    return event.direction == "outgoing"


def decode_event(
    event: Event, *, as_of: float, command_id: str | None = None, decide_by: float | None = None
) -> CallReport | DigitHeard | None:
    """Say what an event says about a call; None where it says nothing, or does not tell of which call."""
    if event.id is None or event.type in _SILENT or not event.type.startswith(("CALL_", "TRANSFER")):
        return None
    if event.type == "CALL_DTMF_START":
        return DigitHeard(as_of=as_of, ref=event.id, digit=event.param) if event.param is not None else None
    state = _EVENTS.get(event.type)
    outgoing = is_outgoing(event)
    incoming = event.direction == "incoming"
    known = state is not None or event.type == "CALL_RTPESTAB"
    return CallReport(
        source=Source.PUSH,
        as_of=as_of,
        ref=event.id,
        command_id=command_id,
        origin=Dialled() if outgoing else Invitation() if incoming else None,
        state=state,
        native_state=None if known else event.type,
        remote=Party(event.peer, event.peer_name) if event.peer is not None else None,
        local=Party(event.account) if event.account is not None else None,
        streams=(_audio(),) if event.type in ("CALL_ESTABLISHED", "CALL_RTPESTAB") else (),
        cause=cause_of_close(event.param) if state is CallState.ENDED else None,
        decide_by=decide_by if event.type == "CALL_INCOMING" else None,
        native=event.raw,
    )


def cause_of_close(text: str | None) -> Cause:
    """Return the cause in the words of CALL_CLOSED: a SIP status with its phrase, or a sentence of baresip's."""
    words = " ".join((text or "").split())
    if not words:
        return Cause(dialect=CLOSED, said=False)
    status = _STATUS.fullmatch(words)
    if status is not None:
        return Cause(dialect=SIP, code=status[1], text=status[2] or None, sip=int(status[1]))
    return Cause(dialect=CLOSED, text=words)


def cause_of_death(returncode: int | None) -> Cause:
    """Return the cause of every call's end where baresip itself has ended."""
    if returncode is None:
        return Cause(dialect=PROCESS, code="lost", text="baresip was lost")
    if returncode < 0:
        return Cause(dialect=PROCESS, code="killed", text=f"baresip was killed by signal {-returncode}")
    return Cause(dialect=PROCESS, code="exited", text=f"baresip exited with status {returncode}")


# Replies


def was_found(reply: Reply) -> bool:
    """Whether `callfind`, `line` or `uafind` selected what was asked for. A reply may be ok although it did not."""
    return reply.ok and reply.data.startswith(("setting current call:", "ua: "))


def words(reply: Reply) -> str:
    """Return the text of a reply in one line."""
    return " ".join(reply.data.split()) or "nothing"


def is_muted(reply: Reply) -> bool | None:
    """Say what the toggle `mute` made of the current call; None where the reply does not tell."""
    return {"call muted": True, "call un-muted": False}.get(reply.data.strip()) if reply.ok else None


def lines(reply: Reply) -> tuple[Line, ...] | None:
    """Return the calls that `listcalls` shows; None where it does not read like a list."""
    if not reply.ok or "Active calls (" not in reply.data:
        return () if "No active calls" in reply.data else None
    return tuple(
        Line(
            number=int(match["number"]),
            current=match["current"] == ">",
            state=match["state"],
            held=match["held"] is not None,
            peer=match["peer"],
        )
        for match in _LINE.finditer(reply.data)
    )


def stat(reply: Reply) -> Stat | None:
    """Return the call that `callstat` shows; None where there is none, or none with an identity."""
    debug, identity = _CALL_DEBUG.search(reply.data), _ID.search(reply.data)
    if not reply.ok or debug is None or identity is None or identity["id"] == "(null)":
        return None
    direction = _DIRECTION.search(reply.data)
    return Stat(
        id=identity["id"],
        state=debug["state"],
        outgoing=direction["direction"] == "Outgoing" if direction is not None else None,
        peer=_party(_PEER.search(reply.data)),
        local=_party(_LOCAL.search(reply.data)),
    )


def accounts(reply: Reply) -> tuple[tuple[str, str], ...]:
    """Return the accounts that `reginfo` shows, the current one first, each with the state of its registration."""
    found = list(_ACCOUNT.finditer(_ESCAPES.sub("", reply.data)))
    found.sort(key=lambda match: match["current"] != ">")
    return tuple((match["aor"], match["status"].strip()) for match in found)


def decode_call(
    call: Stat, line: Line | None, *, source: Source, as_of: float, command_id: str | None = None
) -> CallReport:
    """Say what `callstat` and `listcalls` say about a call."""
    state = _STATES.get(call.state)
    streams: Sequence[StreamReport] = (_audio(),) if state is CallState.CONNECTED else ()
    return CallReport(
        source=source,
        as_of=as_of,
        ref=call.id,
        command_id=command_id,
        origin=None if call.outgoing is None else Dialled() if call.outgoing else Invitation(),
        state=state,
        native_state=None if state is not None else call.state,
        remote=call.peer,
        local=call.local,
        held=line.held if line is not None and state is CallState.CONNECTED else None,
        streams=tuple(streams),
        streams_complete=state is CallState.CONNECTED,
    )


def _party(match: re.Match[str] | None) -> Party | None:
    return Party(match["address"], match["display"] or None) if match is not None else None


def _audio() -> StreamReport:
    return StreamReport(
        slot=AUDIO,
        modality=Modality.AUDIO,
        transport=Transport.VOIP,
        direction=MediaDirection.UNKNOWN,
        state=StreamState.ACTIVE,
    )
