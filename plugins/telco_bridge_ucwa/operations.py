"""What was asked of the server that makes an invitation, until it is known what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Operation", "Operations", "Purpose"]

_REMEMBERED = 4096
"""How many operations are remembered of which nothing was heard, because an answer or an event was lost."""


class Purpose(StrEnum):
    """What an operation of ours was for."""

    DIAL = "dial"
    START = "start"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An invitation that this side asked for. `id` is the operationId, `slots` the streams that it offers.

    `ref` is the conversation that it was asked for in; a dial has one only where it calls from a meeting.
    """

    id: str
    purpose: Purpose
    slots: frozenset[str]
    to: str
    ref: str | None = None


class Operations:
    """The operations of one application, and where their invitations are.

    An invitation is known by its operationId, and where it does not carry that, by the address that the answer told.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Operation] = {}
        self._places: dict[str, str] = {}
        self._operation_at: dict[str, str] = {}
        self._carriers: dict[str, str] = {}
        self._silent: dict[str, None] = {}

    def expect(self, operation: Operation) -> None:
        """Remember an operation before it is sent."""
        self._asked[operation.id] = operation
        self._silent[operation.id] = None
        if len(self._silent) > _REMEMBERED:
            self.forget(next(iter(self._silent)))

    def get(self, operation_id: str) -> Operation | None:
        """The operation of that id."""
        return self._asked.get(operation_id)

    def forget(self, operation_id: str) -> None:
        """The operation is over, or was refused."""
        self._asked.pop(operation_id, None)
        self._silent.pop(operation_id, None)
        self._carriers.pop(operation_id, None)
        place = self._places.pop(operation_id, None)
        if place is not None and self._operation_at.get(place) == operation_id:
            del self._operation_at[place]

    def place(self, operation_id: str, key: str) -> None:
        """The answer to the operation told where its invitation is."""
        if operation_id in self._asked:
            self._places[operation_id] = key
            self._operation_at[key] = operation_id

    def placed_at(self, key: str) -> str | None:
        """The id of the operation whose invitation is at that address, as its answer told."""
        return self._operation_at.get(key)

    def place_of(self, operation_id: str) -> str | None:
        """Where the answer to the operation said that its invitation is."""
        return self._places.get(operation_id)

    def taken(self, purpose: Purpose) -> tuple[str, ...]:
        """The operations for that purpose whose answer told where their invitation is."""
        return tuple(known for known in self._places if self._asked[known].purpose is purpose)

    def carry(self, operation_id: str, key: str) -> None:
        """The invitation at that address carries out the operation."""
        self._carriers[operation_id] = key
        self._silent.pop(operation_id, None)

    def carrier(self, operation_id: str) -> str | None:
        """Where the invitation that carries out the operation is, as it was seen."""
        return self._carriers.get(operation_id)

    def drop_carriers(self) -> None:
        """Forget which invitations were seen."""
        self._carriers.clear()
        self._silent.update(dict.fromkeys(self._asked))
