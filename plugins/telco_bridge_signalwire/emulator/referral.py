"""The verb Refer: a SIP far end is asked to call somebody else instead."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from telco_bridge.sandbox.exchange import Leg
from telco_bridge.sandbox.numbers import Behaviour

from .calls import Direction
from .documents import words
from .execution import Execution, Redirected

__all__ = ["refer"]

_ACCEPTED = 202
_BUSY = frozenset({486, 600})
_NO_ANSWER = frozenset({408, 480, 487, 603})
_GOODBYE = 0.5
"""Network seconds after which a far end that was connected elsewhere hangs up here."""


async def refer(execution: Execution, verb: Element) -> None:
    """Transfer the far end of a SIP call; the document of `action` goes on with what came of it.

    The far end accepts, calls the target by itself, and reports how that ended. Where the target answers, it hangs up.
    """
    call, space = execution.call, execution.space
    noun = verb.find("Sip")
    leg = call.leg
    far = call.to if call.direction is Direction.OUTBOUND else call.from_
    if leg is None or not far.startswith("sip:"):
        execution.note(13801, "Refer skipped: the call is no SIP call")
        return
    if noun is None or not words(noun):
        execution.note(13750, "Refer skipped: no Sip")
        return
    sip, seconds = _attempt(space.exchange.behaviour(words(noun).partition("?")[0]), space.exchange.no_answer_after)
    await space.pause(seconds)
    space.note("provider", "SIP REFER", f"{_ACCEPTED}, then NOTIFY {sip}", CallSid=call.sid)
    if sip == 200:
        _say_goodbye(execution, leg)
    target = execution.webhook(verb)
    if target is not None:
        told = {
            "ReferCallStatus": _status(sip),
            "ReferSipResponseCode": str(_ACCEPTED),
            "NotifySipResponseCode": str(sip),
        }
        raise Redirected(target, told)


def _attempt(party: Behaviour, no_answer_after: float) -> tuple[int, float]:
    """How a call to that party ends or is answered, and after how many seconds."""
    rings = party.rings_after or 0.0
    if party.refuses is not None:
        return party.refuses[0], rings + party.refuses_after
    if party.answers_after is not None:
        return 200, rings + party.answers_after
    return 480, rings + no_answer_after


def _say_goodbye(execution: Execution, leg: Leg) -> None:
    execution.call.timers.append(execution.space.after(_GOODBYE, lambda: leg.hang_up(by=leg.far)))


def _status(sip: int) -> str:
    if sip == 200:
        return "in-progress"
    if sip in _BUSY:
        return "busy"
    return "no-answer" if sip in _NO_ANSWER else "failed"
