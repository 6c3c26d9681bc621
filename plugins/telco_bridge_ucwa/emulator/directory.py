"""Where everything is: addresses that nobody can guess, and what each of them answers to."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from .errors import UcwaError

if TYPE_CHECKING:
    from .answers import Answer
    from .inputs import Ask

__all__ = ["Directory", "Handler", "Owner", "Place"]

Handler = Callable[["Ask"], "Answer | Awaitable[Answer]"]

_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
_REMEMBERED = 20_000
"""How many addresses of ended things still answer that the thing is gone."""


class Owner(Protocol):
    """What places belong to: an application, or nothing. Once it is gone, they all say so."""

    @property
    def gone(self) -> UcwaError | None: ...


@dataclass(frozen=True, slots=True)
class _Gone:
    """What is left of an owner that is gone."""

    gone: UcwaError


@dataclass(slots=True, eq=False)
class Place:
    """One address: the link that leads to it, and what it does for each verb."""

    rel: str
    path: str
    base: Callable[[], str] | None
    query: Mapping[str, str]
    handlers: Mapping[str, Handler]
    owner: Owner | None
    guarded: bool
    """Whether a token is needed."""
    retired: bool = False

    @property
    def href(self) -> str:
        """The address as links spell it: relative, or with the host in front; its query is part of it."""
        base = "" if self.base is None else self.base()
        return base + self.path + (f"?{urlencode(self.query)}" if self.query else "")

    def link(self, **attributes: str) -> dict[str, str]:
        """Return the link object."""
        return {"href": self.href, **attributes}


class Directory:
    """Every address of one pool. Paths are random, so that only clients which follow links find anything."""

    def __init__(self, chance: random.Random, base: Callable[[], str], *, absolute_links: float) -> None:
        self._chance = chance
        self._base = base
        self._absolute_links = absolute_links
        self._places: dict[str, Place] = {}
        self._retired: deque[str] = deque()

    def word(self, length: int) -> str:
        """Return a word that means nothing."""
        return "".join(self._chance.choices(_ALPHABET, k=length))

    def place(
        self,
        rel: str,
        *,
        owner: Owner | None = None,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
        absolute: bool | None = None,
        base: Callable[[], str] | None = None,
        guarded: bool = True,
        get: Handler | None = None,
        post: Handler | None = None,
        put: Handler | None = None,
        delete: Handler | None = None,
    ) -> Place:
        """Give something an address. The parameters of `query` must come back with every request for it."""
        if path is None:
            path = f"/{self.word(4)}/{self.word(6)}/{self.word(9)}"
        if absolute is None:
            absolute = self._chance.random() < self._absolute_links
        given = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
        place = Place(
            rel=rel,
            path=path,
            base=(base or self._base) if absolute else None,
            query=dict(query or {}),
            handlers={verb: handler for verb, handler in given.items() if handler is not None},
            owner=owner,
            guarded=guarded,
        )
        self._places[path] = place
        return place

    def find(self, path: str) -> Place | None:
        """Return what is at that path, None where nothing is or ever was."""
        return self._places.get(path)

    def beside(self, path: str) -> bool:
        """Whether anything is, or was, in that path's folder: then UCWA answers there, and not the web server."""
        folder = path.rpartition("/")[0]
        return bool(folder) and any(known.rpartition("/")[0] == folder for known in self._places)

    def release(self, owner: Owner, gone: UcwaError) -> None:
        """The owner is gone, and must be remembered by nobody: for a long while its addresses say why."""
        remembered = _Gone(gone)
        for place in [place for place in self._places.values() if place.owner is owner]:
            place.owner = remembered
            self.retire(place)

    def retire(self, place: Place) -> None:
        """The thing at that place has ended; for a long while its address still says so."""
        if not place.retired:
            place.retired = True
            place.handlers = {}
            self._retired.append(place.path)
            if len(self._retired) > _REMEMBERED:
                self._places.pop(self._retired.popleft(), None)
