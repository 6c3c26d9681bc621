"""What a call does next, when the carrier comes for its document: by the command that made it come."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from telco_bridge.provider import (
    Command,
    ConfigError,
    Hold,
    Play,
    Redirect,
    Refused,
    Say,
    SendDigits,
    Transfer,
)

from .config import LamlConfig, is_dialable
from .documents import (
    Verb,
    conference,
    dial,
    gather_digits,
    pause,
    play,
    play_digits,
    redirect,
    refer,
    say,
)
from .encode import PublicUrl

__all__ = ["Scripts", "script"]

_KEPT = 20_000
"""So many scripts are remembered at most: the last of a call is never asked for again, and nobody says so."""

_STILL = 3600
"""Seconds after which a call that nobody does anything with comes back for its document."""

_BETWEEN_KEYS = 1
"""Seconds after a key in which the next one belongs to it: so much later the application is told."""
_LISTENS = 60
"""So often a call listens before it comes back for its document: nothing is sent meanwhile."""

_LONGEST_TEXT = 4096
_DIGITS = re.compile(r"[0-9*#wW]{1,32}", re.ASCII)
_RING = range(5, 601)


class Scripts:
    """The documents of the calls, by the commands they were asked for."""

    def __init__(self, config: LamlConfig, url: PublicUrl) -> None:
        self._config = config
        self._url = url
        self._verbs: dict[str, tuple[Verb, ...]] = {}

    def __len__(self) -> int:
        return len(self._verbs)

    def remember(self, command_id: str, *verbs: Verb) -> None:
        """Keep what a call does when it comes for the document of that command."""
        self._verbs[command_id] = verbs
        if len(self._verbs) > _KEPT:
            del self._verbs[next(iter(self._verbs))]

    def forget(self, command_id: str) -> None:
        """The command was refused: nobody comes for its document."""
        self._verbs.pop(command_id, None)

    def of(self, command_id: str | None, call: str | None) -> tuple[Verb, ...]:
        """What the call does for that command, and then: nothing, for as long as it likes."""
        return (*self._verbs.get(command_id or "", ()), *self.keep_open(call))

    def answer(self, call: str) -> tuple[Verb, ...]:
        """Answer an inbound call, and keep it as it is: a pause alone would let it ring on."""
        listen = gather_digits(self._url("voice", call=call, keys="1") or "", seconds=_BETWEEN_KEYS)
        return (listen, *self.keep_open(call))

    def keep_open(self, call: str | None) -> tuple[Verb, ...]:
        """Keep the call as it is. `call` is our identity of it, where it has one already."""
        tokens = {"call": call} if call is not None else {}
        back = self._url("voice", **tokens)
        if back is None:
            return (pause(_STILL),)
        if not self._config.hear_digits:
            return (pause(_STILL), redirect(back))
        listen = gather_digits(self._url("voice", **tokens, keys="1") or back, seconds=_BETWEEN_KEYS)
        return (*[listen] * _LISTENS, redirect(back))


def script(command: Command, config: LamlConfig, url: PublicUrl) -> tuple[Verb, ...]:
    """Return the verbs that carry out a command within a call's document.

    What is said, played or sent leads back to the bridge, which learns so that it is done. Raises `Refused` for what
    the carrier does not take, `ConfigError` where it cannot reach the bridge.
    """
    if command.native and not isinstance(command, Transfer):
        raise _refused(f"{command.name} takes no native parameters: it is made by a document, not a request")
    done = _address(url, command, done=command.id)
    match command:
        case Say():
            if len(command.text) > _LONGEST_TEXT:
                raise _refused(
                    f"the text has {len(command.text)} characters: the carrier speaks {_LONGEST_TEXT} at most"
                )
            return (say(command.text, language=command.language, voice=command.voice), redirect(done))
        case Play():
            parts = urlsplit(command.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise _refused("the carrier plays files that it fetches: give an absolute http(s) address")
            return (play(command.url, times=command.times), redirect(done))
        case SendDigits():
            if _DIGITS.fullmatch(command.digits) is None:
                raise _refused(f"cannot send {command.digits!r}: LaML takes up to 32 of 0-9 * # and w, W to wait")
            return (play_digits(command.digits), redirect(done))
        case Transfer():
            return (_passed_on(command, url, config),)
        case Redirect():
            return (_dialled(command, command.to, url),)
        case Hold():
            attributes = {
                # Somebody who waits alone, and for whom nobody's coming starts it, is on hold.
                "startConferenceOnEnter": "false",
                "beep": "false",
                "statusCallback": _address(url, command, path="conference"),
                "statusCallbackEvent": "join leave",
            }
            if config.hold_music_url is not None:
                attributes["waitUrl"] = config.hold_music_url
            return (conference(f"hold-{command.call}", action=_address(url, command), **attributes),)
        case _:
            raise AssertionError(f"{command.name} is carried out by no document")


def _passed_on(command: Transfer, url: PublicUrl, config: LamlConfig) -> Verb:
    extras = dict(command.native)
    by_refer = extras.pop("Refer", False)
    if extras:
        raise _refused(f"Transfer takes one native parameter, Refer; not {', '.join(sorted(extras))}")
    if not by_refer:
        caller = command.caller_id if command.caller_id is not None else config.transfer_caller_id
        return _dialled(command, command.to, url, caller_id=caller, ring_timeout=command.ring_timeout)
    if not command.to.lower().startswith("sip:"):
        raise _refused(f"cannot refer to {command.to!r}: the carrier refers SIP calls to sip:user@host")
    return refer(command.to, action=_address(url, command, over=command.id))


def _dialled(
    command: Command, to: str, url: PublicUrl, *, caller_id: str | None = None, ring_timeout: float | None = None
) -> Verb:
    for address in (to, caller_id):
        if address is not None and not is_dialable(address):
            raise _refused(f"{command.name} cannot use {address!r}: the carrier takes +15551234567 or sip:user@host")
    if ring_timeout is not None and ring_timeout not in _RING:
        raise _refused(f"ring_timeout is {ring_timeout}: here the carrier takes whole seconds from 5 to 600")
    return dial(
        to,
        action=_address(url, command, over=command.id),
        callback=_address(url, command, path="status", over=command.id),
        caller_id=caller_id,
        ring_seconds=int(ring_timeout) if ring_timeout is not None else None,
    )


def _address(url: PublicUrl, command: Command, *, path: str = "voice", **tokens: str) -> str:
    address = url(path, call=command.call, **tokens)
    if address is None:
        raise ConfigError(
            f"{command.name}: the carrier must fetch a document from the bridge for it: set web.public_url, and "
            "web.listen or mount bridge.asgi"
        )
    return address


def _refused(message: str) -> Refused:
    return Refused(message)
