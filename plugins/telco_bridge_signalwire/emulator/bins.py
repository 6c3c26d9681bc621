"""`LamlBins`: documents that the space itself serves."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .app import at
from .calls import API_VERSION
from .dates import iso8601
from .documents import BadDocument, parse_document
from .errors import ApiError
from .forms import Form, parse_form
from .operations import Asked, Reply
from .paging import cut_page
from .space import Space

__all__ = ["Bin", "Bins", "bin_routes"]

_EMPTY = "<Response></Response>"
_VARIABLE = re.compile(r"\{\{\s*([{&]?)\s*([\w.-]+)\s*\}?\}\}")
"""`{{name}}` is escaped, `{{{name}}}` and `{{&name}}` are not. Of Mustache, variables are all that is understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One document."""

    number: int
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    name: str
    contents: str
    created: float
    updated: float
    accessed: float | None = None
    requests: int = 0


class Bins:
    """The space's documents, by their SIDs. Each is replaced as a whole, from any thread."""

    def __init__(self, space: Space) -> None:
        self.all: dict[str, Bin] = {}
        self._space = space

    def add(self, name: str, contents: str, *, sid: str | None = None) -> Bin:
        """Add a document, or replace the one of that SID."""
        now = self._space.now()
        added = Bin(
            number=self._space.directory.next_number(),
            sid=sid if sid is not None else str(uuid.uuid4()),
            name=name,
            contents=contents,
            created=now,
            updated=now,
        )
        self.all[added.sid] = added
        return added

    def url(self, known: Bin) -> str:
        """Return where the document is served."""
        return f"{self._space.url}/laml-bins/{known.sid}"

    def serve(self, sid: str, form: Form) -> str | None:
        """Return the document with what was asked filled in, and count the request; None where there is none."""
        known = self.all.get(sid)
        if known is None:
            return None
        self.all[sid] = replace(known, accessed=self._space.now(), requests=known.requests + 1)

        def value(found: re.Match[str]) -> str:
            text = form.get(found[2]) or ""
            return text if found[1] else escape(text)

        return _VARIABLE.sub(value, known.contents)


class BinOperations:
    """The operations on the space's documents."""

    def __init__(self, space: Space, bins: Bins) -> None:
        self._space = space
        self._bins = bins

    def list(self, asked: Asked) -> Reply:
        """List documents, newest first."""
        page, envelope = cut_page(list(self._bins.all.values()), asked.form, self._space.uri("LamlBins.json"))
        return Reply(body={**envelope, "laml_bins": [self._resource(known) for known in page]})

    def create(self, asked: Asked) -> Reply:
        """Add a document, by default one that does nothing."""
        added = self._bins.add(_name(asked.form.get("Name")), _contents(asked.form.get("Contents") or _EMPTY))
        return Reply(status=201, body=self._resource(added))

    def read(self, asked: Asked) -> Reply:
        """Show one document."""
        return Reply(body=self._resource(self._find(asked)))

    def update(self, asked: Asked) -> Reply:
        """Change a document: whatever refers to it gets the new one."""
        known = self._find(asked)
        given, contents = asked.form.get("Name"), asked.form.get("Contents")
        changed = replace(
            known,
            name=known.name if given is None else _name(given),
            contents=known.contents if contents is None else _contents(contents),
            updated=self._space.now(),
        )
        self._bins.all[known.sid] = changed
        return Reply(body=self._resource(changed), before=self._resource(known))

    def delete(self, asked: Asked) -> Reply:
        """Remove a document."""
        del self._bins.all[self._find(asked).sid]
        return Reply(status=204)

    def _find(self, asked: Asked) -> Bin:
        known = self._bins.all.get(asked.path["bin"])
        if known is None:
            raise ApiError(20404)
        return known

    def _resource(self, known: Bin) -> Mapping[str, object]:
        return {
            "sid": known.sid,
            "date_created": iso8601(known.created),
            "date_updated": iso8601(known.updated),
            "date_last_accessed": None if known.accessed is None else iso8601(known.accessed),
            "account_sid": self._space.project,
            "name": known.name,
            "contents": known.contents,
            "request_url": self._bins.url(known),
            "num_requests": known.requests,
            "api_version": API_VERSION,
            "uri": self._space.uri(f"LamlBins/{known.sid}.json"),
        }


def bin_routes(space: Space, bins: Bins) -> list[Route]:
    """Return where the operations on documents are found, and where the documents themselves are."""
    operations = BinOperations(space, bins)
    return [
        *at(space, "LamlBins", ("GET", "GET LamlBins", operations.list), ("POST", "POST LamlBins", operations.create)),
        *at(
            space,
            "LamlBins/{bin}",
            ("GET", "GET LamlBins/{sid}", operations.read),
            ("POST", "POST LamlBins/{sid}", operations.update),
            ("DELETE", "DELETE LamlBins/{sid}", operations.delete),
        ),
        Route("/laml-bins/{bin}", _served(bins), methods=["GET", "POST"]),
    ]


def _served(bins: Bins) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        """A document is public, as its address is what a call is given."""
        try:
            form = parse_form(request.url.query, request.headers.get("content-type", ""), await request.body())
        except ApiError as error:
            return Response(status_code=error.status)
        document = bins.serve(request.path_params["bin"], form)
        return Response(document or "", 200 if document is not None else 404, media_type="application/xml")

    return serve


def _name(given: str | None) -> str:
    if not given:
        raise ApiError(10000, "Name is required")
    return given


def _contents(given: str) -> str:
    try:
        parse_document(given)
    except BadDocument as error:
        raise ApiError(20422, f"Contents is no valid document: {error}") from error
    return given
