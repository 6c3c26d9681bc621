"""A resource in its own words, as applications see it beside what is told neutrally."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .wire import Resource

__all__ = ["Words"]


class Words(Mapping[str, object]):
    """The rel, the address and the properties of a resource, and what else belongs to them.

    It shares them with the resource, because every event that is kept has one of these.
    """

    __slots__ = ("_href", "_more", "_properties", "_rel")

    def __init__(self, resource: Resource, more: Mapping[str, object]) -> None:
        self._rel = resource.rel
        self._href = resource.href
        self._properties = resource.properties
        self._more = more or _NOTHING

    def __getitem__(self, name: str) -> object:
        if name == "rel":
            return self._rel
        if name == "href":
            return self._href
        return self._more[name] if name in self._more else self._properties[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys(("rel", "href", *self._properties, *self._more))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


_NOTHING: Mapping[str, object] = {}
