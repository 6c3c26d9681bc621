"""The verbs that lead through documents and out of them: Pause, Redirect, Reject, Hangup."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from .calls import Direction
from .documents import number, words
from .execution import Ended, Ending, Execution, Redirected, Verb

__all__ = ["FLOW"]


async def _hangup(execution: Execution, verb: Element) -> None:
    raise Ended(Ending.HANGUP)


async def _pause(execution: Execution, verb: Element) -> None:
    await execution.space.pause(number(verb.get("length"), 1.0))


async def _redirect(execution: Execution, verb: Element) -> None:
    target = execution.located(words(verb), verb.get("method"))
    if target is None:
        raise Ended(Ending.NO_DOCUMENT)
    raise Redirected(target)


async def _reject(execution: Execution, verb: Element) -> None:
    call = execution.call
    if call.direction is Direction.OUTBOUND or call.answered is not None:
        execution.note(13750, "Reject skipped")
        return
    raise Ended(Ending.REJECTED_BUSY if verb.get("reason") == "busy" else Ending.REJECTED)


FLOW: Mapping[str, Verb] = {"Hangup": _hangup, "Pause": _pause, "Redirect": _redirect, "Reject": _reject}
