"""What the two kinds of calls have in common at the typed door: a state, and links that say what may be done."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from telco_bridge.provider import Cause, Refused, TooLate

from ..inputs import LONGEST_NUMBER, checked_inputs, checked_text
from ..parties import address
from ..resources import Operation, Purpose
from ..wire import Resource, sdp_link
from .door import Door

__all__ = ["ModalityState", "UcwaModality"]


class ModalityState(StrEnum):
    """How far the call of one modality has come. Being on hold is no state of UCWA's."""

    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    TRANSFERRING = "Transferring"
    DISCONNECTING = "Disconnecting"
    DISCONNECTED = "Disconnected"
    UNKNOWN = "Unknown"


class UcwaModality:
    """One modality of a conversation, of which `rel` is the name. Reached from `UcwaConversation`."""

    rel = ""

    def __init__(self, door: Door, ref: str) -> None:
        self._door = door
        self._conversation = ref

    @property
    def _ref(self) -> str:
        """The conversation that the call is in now: it may have moved."""
        self._door.check(self.rel)
        return self._door.resources.current(self._conversation)

    @property
    def reason(self) -> Cause | None:
        """The last reason that the server gave for a change, such as a transfer that was declined; None without one.

        Raises `TooLate` where nothing is known of the modality.
        """
        return self._door.sessions.reason(self._known())

    def _known(self) -> Resource:
        known = self._door.resources.modality(self._ref, self.rel)
        if known is None:
            raise TooLate(f"{self.rel}: the conversation is over, or nothing was heard of it yet", provider="ucwa")
        return known

    async def _read(self) -> Resource:
        """Read the modality now. Raises `TooLate` where the conversation is over."""
        resources, ref = self._door.resources, self._ref
        known = resources.modality(ref, self.rel)
        href = known.href if known is not None else None
        if href is None:
            conversation = await self._door.get(ref, "conversation")
            href = conversation.link(self.rel) if conversation is not None else None
        as_of = self._door.host.stamp()
        body = await self._door.get(href, self.rel) if href is not None else None
        if body is None:
            raise TooLate(f"{self.rel}: the conversation is over", provider="ucwa", status=404)
        resources.put(body, as_of)
        return body

    async def _with(self, rel: str) -> Resource:
        """Return the modality, read again where what is known of it does not offer that link."""
        known = self._door.resources.modality(self._ref, self.rel)
        return known if known is not None and known.link(rel) is not None else await self._read()

    async def _do(
        self, rel: str, *, query: tuple[tuple[str, str], ...] = (), body: dict[str, object] | None = None
    ) -> None:
        await self._door.post(await self._with(rel), rel, of="the call", query=query, body=body)

    async def _invite(
        self,
        rel: str,
        slots: frozenset[str],
        native: Mapping[str, object],
        *,
        invitation: str,
        offer: str | None = None,
        timeout: float,
    ) -> None:
        """Add media to the call by an invitation, and return once the other party has taken them.

        Raises `Refused`, with the reason as its `termination`, where it has not, and `AnswerLost` where nothing tells
        that within `timeout` seconds.
        """
        resources, ref = self._door.resources, self._ref
        inputs = checked_inputs(rel, {name: value for name, value in native.items() if value is not None})
        to = inputs.get("to", resources.partner(ref))
        if not isinstance(to, str):
            raise Refused(
                f"{rel} needs the other party's address, which this program has not seen; give it as `to`. "
                "Nothing was sent.",
                provider="ucwa",
            )
        number = inputs.get("phoneNumber")
        if isinstance(number, str):
            inputs["phoneNumber"] = address(checked_text("phone_number", number, longest=LONGEST_NUMBER)).removeprefix(
                "tel:"
            )
        door = self._door
        modality = await self._with(rel)
        with door.outcomes.expect() as awaited:
            body: dict[str, object] = {**inputs, "operationId": awaited.id, "to": address(to)}
            if offer is not None:
                body.setdefault("sessionContext", awaited.id)
                body["_links"] = {"mediaOffer": {"href": sdp_link(offer)}}
            operation = Operation(id=awaited.id, purpose=Purpose.START, slots=slots, to=to, ref=ref)
            await door.ask(awaited, modality, rel, of="the call", body=body, operation=operation)
            await door.outcomes.success(awaited, what=rel, rel=invitation, timeout=timeout)
