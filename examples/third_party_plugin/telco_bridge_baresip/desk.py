"""Small dialogues with baresip: which call is the current one, and what is known of it.

Nearly every command acts on the current call of the current account, and baresip changes both by itself: by calls that
come in, and by calls that end. All of this is done under the session's lock.
"""

from __future__ import annotations

from telco_bridge.provider import AnswerLost, NotSent, ProviderError, Refused, TooLate

from .config import PROVIDER
from .control import Control
from .decode import Line, Stat, accounts, lines, stat, was_found, words
from .wire import Reply

__all__ = ["RINGS", "UP", "Desk"]

RINGS = "INCOMING"
"""The state of a call that rings here."""

UP = "ESTABLISHED"
"""The state of a call that is up."""


class Desk:
    """Selects calls and reads them."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.accounts: tuple[str, ...] = ()
        """The accounts of this baresip; calls are made from the first unless another one is named."""

    async def use(self, account: str | None) -> None:
        """Make it, or the first, the current account. Raises `Refused` where there is none of that name."""
        if account is not None:
            if not was_found(await self._control.ask("uafind", account)):
                raise Refused(f"baresip has no account {account}. Nothing was sent.", provider=PROVIDER)
        elif len(self.accounts) > 1:
            await self._control.ask("uafind", self.accounts[0])

    async def find(self, ref: str, account: str | None) -> Reply:
        """Try to select a call, in its account or else in all. The command exists only while there are calls."""
        several = len(self.accounts) > 1
        places = (account,) if account is not None or not several else self.accounts
        reply = Reply(ok=False)
        for place in places:
            if several and place is not None:
                await self._control.ask("uafind", place)
            reply = await self._control.ask("callfind", ref)
            if was_found(reply):
                break
        return reply

    async def select(self, ref: str, account: str | None) -> None:
        """Make it the current call. Raises `TooLate` where baresip does not know it, `NotSent` where it did not say."""
        try:
            reply = await self.find(ref, account)
        except AnswerLost as error:
            # Selecting changes nothing, so it may be done again.
            raise NotSent(f"call {ref} could not be selected: {error}", provider=PROVIDER) from error
        if not was_found(reply):
            raise TooLate(f"baresip does not know call {ref} any more: {words(reply)}", provider=PROVIDER)

    async def must_be(self, state: str, ref: str, what: str) -> Stat:
        """Return the selected call. Raises `TooLate` where it is in another state, or is another one by now."""
        try:
            call = await self.stat()
        except AnswerLost as error:
            raise NotSent(f"call {ref} could not be looked at: {error}", provider=PROVIDER) from error
        if call is None or call.id != ref:
            raise TooLate(f"{what}: call {ref} ended meanwhile", provider=PROVIDER)
        if call.state != state:
            raise TooLate(f"{what}: baresip says that call {ref} is {call.state}, not {state}", provider=PROVIDER)
        return call

    async def stat(self) -> Stat | None:
        """Return the current call; None where there is none."""
        return stat(await self._control.ask("callstat"))

    async def lines(self) -> tuple[Line, ...]:
        """Return the calls of the current account. Raises `ProviderError` where the reply is none that is known."""
        reply = await self._control.ask("listcalls")
        shown = lines(reply)
        if shown is None:
            raise ProviderError(f"baresip does not list its calls: {words(reply)}", provider=PROVIDER)
        return shown

    async def walk(self) -> list[tuple[Stat, Line]]:
        """Return all calls, by selecting one after the other: the list of calls shows no identities."""
        reply = await self._control.ask("reginfo")
        shown = {aor for aor, _ in accounts(reply)}
        if not shown:
            raise ProviderError(f"baresip shows no account: {words(reply)}", provider=PROVIDER)
        # The first stays the first, whichever is the current one.
        kept = tuple(aor for aor in self.accounts if aor in shown)
        self.accounts = kept + tuple(sorted(shown.difference(kept)))
        found: list[tuple[Stat, Line]] = []
        for account in self.accounts:
            if len(self.accounts) > 1:
                await self._control.ask("uafind", account)
            for line in await self.lines():
                if was_found(await self._control.ask("line", str(line.number))):
                    call = await self.stat()
                    if call is not None:
                        found.append((call, line))
        return found

    async def take_back(self, line: Line) -> None:
        """Resume that call."""
        if was_found(await self._control.ask("line", str(line.number))):
            await self._control.ask("resume")
