"""The verbs that are heard: Say and Play."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from .documents import number, words
from .execution import Execution, Verb
from .keypad import press_digits
from .sounds import NoSound, fetch_sound, play_sound

__all__ = ["PROMPTS"]

_CHARACTERS_PER_SECOND = 15.0
"""How fast `Say` is taken to speak. Nothing of it is heard: there is no voice."""

_SHORTEST = 0.1
"""Network seconds that one round of a repeated verb takes at least, so that an endless one stays harmless."""


async def _say(execution: Execution, verb: Element) -> None:
    times = number(verb.get("loop"), 1.0) or math.inf
    seconds = len("".join(verb.itertext()).strip()) / _CHARACTERS_PER_SECOND
    while times > 0:
        await execution.space.pause(max(seconds, _SHORTEST))
        times -= 1


async def _play(execution: Execution, verb: Element) -> None:
    times = number(verb.get("loop"), 1.0) or math.inf
    digits = verb.get("digits")
    if digits is not None:
        await _play_digits(execution, digits, times)
        return
    target = execution.located(words(verb), "GET")
    if target is None:
        return
    try:
        sound = await fetch_sound(execution.space, execution.call, target.url)
    except NoSound as error:
        execution.note(error.code, str(error))
        return
    while times > 0:
        await play_sound(execution.space, execution.call, sound)
        if sound.seconds < _SHORTEST:
            await execution.space.pause(_SHORTEST)
        times -= 1


async def _play_digits(execution: Execution, digits: str, times: float) -> None:
    leg = execution.call.leg
    while times > 0 and leg is not None:
        if not digits:
            await execution.space.pause(_SHORTEST)
        await press_digits(execution.space, leg, digits)
        times -= 1


PROMPTS: Mapping[str, Verb] = {"Play": _play, "Say": _say}
