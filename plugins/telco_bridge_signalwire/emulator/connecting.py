"""The verbs of streams: Start and Stop for one-way streams, Connect for the two-way one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from .execution import Execution, Verb
from .space import Space
from .stream_orders import OrderRefused, document_stream
from .streams import Stream, Streams

__all__ = ["StreamVerbs"]


class StreamVerbs:
    """Streams as documents order them."""

    def __init__(self, space: Space, streams: Streams) -> None:
        self._space = space
        self._streams = streams

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """The verbs by their names."""
        return {"Connect": self._connect, "Start": self._start, "Stop": self._stop}

    async def _start(self, execution: Execution, verb: Element) -> None:
        for noun in verb.findall("Stream"):
            self._stream(execution, noun, two_way=False)

    async def _connect(self, execution: Execution, verb: Element) -> None:
        noun = verb.find("Stream")
        if noun is None:
            execution.note(13750, "Connect skipped")
            return
        stream = self._stream(execution, noun, two_way=True)
        if stream.running is None:
            return
        try:
            await asyncio.wait({stream.running})
        finally:
            # Where the document is abandoned, so is what it waits for.
            self._streams.stop(stream)

    async def _stop(self, execution: Execution, verb: Element) -> None:
        for noun in verb.findall("Stream"):
            stream = self._streams.find(execution.call, noun.get("name", ""))
            if stream is not None:
                self._streams.stop(stream)

    def _stream(self, execution: Execution, noun: Element, *, two_way: bool) -> Stream:
        call = execution.call
        try:
            order = document_stream(noun, two_way=two_way, allow_loopback_ws=self._space.allow_loopback_ws)
        except OrderRefused as refused:
            return self._streams.refuse(call, refused.order, refused.error)
        return self._streams.start(call, order)
