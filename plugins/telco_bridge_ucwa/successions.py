"""Which conversation takes over the call of which other one, and which ends are kept back until that is known."""

from __future__ import annotations

from dataclasses import dataclass

from .problems import Problem

__all__ = ["KeptEnd", "Successions"]


_REMEMBERED = 1024
"""How many conversations are remembered that were to take a call over, against what is read of them afterwards."""


@dataclass(slots=True)
class KeptEnd:
    """The end of a conversation whose call may go on in another one. `reason` is the first that was given."""

    ref: str
    deleted: bool = False
    reason: Problem | None = None


class Successions:
    """The moves of one application's calls: those that have happened, and those that an invitation would make."""

    def __init__(self) -> None:
        self._moved: dict[str, str] = {}
        self._expected: dict[str, str] = {}
        self._hidden: dict[str, None] = {}
        self._leaving: set[str] = set()
        self._kept: dict[str, KeptEnd] = {}

    def expect(self, new: str, old: str) -> None:
        """An invitation in `new` would take the place of the call in `old`. Until it has, `new` is not told of."""
        self._expected[new] = old
        self._hidden[new] = None
        if len(self._hidden) > _REMEMBERED:
            del self._hidden[next(iter(self._hidden))]

    def give_up(self, new: str) -> None:
        """The invitation in `new` has come to nothing."""
        self._expected.pop(new, None)

    def leave(self, old: str) -> bool:
        """The call of that conversation goes on elsewhere, and where is being read; False where it was not found."""
        known = old in self._leaving
        self._leaving ^= {old}
        return not known

    def move(self, old: str, new: str) -> None:
        """The call of `old` goes on in `new`, and the end of `old` is no end."""
        self._moved[old] = new
        self._leaving.discard(old)
        self._expected.pop(new, None)
        self._hidden.pop(new, None)

    def replaced_by(self, new: str) -> str | None:
        """The conversation whose call the undecided invitation in `new` would take over."""
        return self._expected.get(new)

    def replaced(self, old: str) -> str | None:
        """The newest conversation whose undecided invitation would take over the call of that one."""
        return next((new for new, replaced in reversed(self._expected.items()) if replaced == old), None)

    def awaited(self, old: str) -> bool:
        """Whether another conversation may take the call of that one over, or its end is kept back."""
        return self.replaced(old) is not None or old in self._leaving or old in self._kept

    def hides(self, ref: str) -> bool:
        """Whether that conversation is not to be told of as a call of its own."""
        return ref in self._hidden

    def has_moved(self, ref: str | None) -> bool:
        """Whether the call of that conversation goes on elsewhere."""
        return ref in self._moved

    def current(self, ref: str) -> str:
        """The conversation in which the call of that one goes on, through any number of moves."""
        seen = {ref}
        while ref in self._moved and self._moved[ref] not in seen:
            ref = self._moved[ref]
            seen.add(ref)
        return ref

    def left_for(self, new: str) -> tuple[str, ...]:
        """The conversations that calls have left for that one."""
        return tuple(old for old, to in self._moved.items() if to == new) if self._moved else ()

    def hold(self, ref: str, *, deleted: bool, reason: Problem | None) -> None:
        """Keep back that a conversation ends."""
        kept = self._kept.setdefault(ref, KeptEnd(ref))
        kept.deleted = kept.deleted or deleted
        kept.reason = kept.reason if kept.reason is not None else reason

    def holds(self, ref: str) -> bool:
        """Whether the end of that conversation is kept back."""
        return ref in self._kept

    def release(self, ref: str) -> KeptEnd | None:
        """Keep the end of that conversation back no longer; None where none was kept."""
        self._leaving.discard(ref)
        return self._kept.pop(ref, None)

    def forget(self, ref: str) -> None:
        """The conversation was deleted, and its end told."""
        onward = self._moved.get(ref)
        moved = {old: onward if new == ref else new for old, new in self._moved.items()}
        # Whose call moved here, and on from here, has moved there.
        self._moved = {old: new for old, new in moved.items() if new is not None}
        self._expected.pop(ref, None)
        for invited in [new for new, old in self._expected.items() if old == ref]:
            # There is no call any more that it could take over: it is one of its own.
            del self._expected[invited]
            self._hidden.pop(invited, None)
        self._leaving.discard(ref)
        self._kept.pop(ref, None)
