"""The verb Gather: keys that the far end presses, while prompts are played and after them."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element

from .documents import flag, number
from .execution import Execution, Redirected
from .races import first

__all__ = ["gather"]

_PROMPTS = ("Pause", "Play", "Say")
_TIMEOUT = 5.0


async def gather(execution: Execution, verb: Element) -> None:
    """Collect keys, and let the document of `action` go on with them.

    Speech is not understood: nobody's words are simulated. Where nothing was pressed, the document goes on with the
    next verb, unless `actionOnEmptyResult` wants it otherwise. Without an `action`, the running document's own address
    is asked again, as Twilio documents it.
    """
    inputs = verb.get("input", "dtmf").split()
    with execution.call.keypad.listen() as keys:
        digits = await _collect(execution, verb, keys, deaf="dtmf" not in inputs)
    if not digits and not flag(verb.get("actionOnEmptyResult")):
        return
    target = execution.webhook(verb) if verb.get("action") else execution.base
    if target is not None:
        raise Redirected(target, {"Digits": digits})


async def _collect(execution: Execution, verb: Element, keys: asyncio.Queue[str], *, deaf: bool) -> str:
    most = number(verb.get("numDigits"), 0)
    finish = verb.get("finishOnKey", "#")
    timeout = number(verb.get("timeout"), _TIMEOUT)
    collected = ""

    async def key() -> None:
        nonlocal collected
        if deaf:
            await asyncio.Event().wait()
        collected += await keys.get()

    # The first key ends the prompts, and only their end starts the time for the first key.
    heard = await first(key(), execution.perform(verb, only=_PROMPTS)) == 0
    while heard or await first(key(), execution.space.pause(timeout)) == 0:
        heard = False
        if finish and collected[-1] in finish:
            return collected[:-1]
        if most and len(collected) >= most:
            return collected
    return collected
