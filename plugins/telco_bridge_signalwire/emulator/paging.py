"""Lists in pages: newest first, with tokens that stay true while the list grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from .errors import ApiError
from .forms import Form

__all__ = ["Numbered", "cut_page"]

_DEFAULT_SIZE = 50
_LARGEST_SIZE = 1000
_PAGING = ("Page", "PageSize", "PageToken")


class Numbered(Protocol):
    """Something that was created after everything with a smaller number."""

    @property
    def number(self) -> int: ...


N = TypeVar("N", bound=Numbered)


def cut_page(items: Sequence[N], form: Form, path: str) -> tuple[list[N], dict[str, object]]:
    """Return the items of the asked page and the envelope that goes around them.

    A token is `PA` or `PB` and a number: the items older, or newer, than that one. Raises `ApiError`: 54453 for a page
    without its token, 54454 for a bad size, 21481 for a token that nobody issued, 90000 for a page that is no number.
    """
    size = _whole(form.get("PageSize"), _DEFAULT_SIZE, 54454)
    if not 1 <= size <= _LARGEST_SIZE:
        raise ApiError(54454)
    index = _whole(form.get("Page"), 0, 90000)
    token = form.get("PageToken") or ""
    if index > 0 and not token:
        raise ApiError(54453)

    ordered = sorted(items, key=lambda item: item.number, reverse=True)
    page = _select(ordered, size, token)
    older = bool(page) and page[-1].number > ordered[-1].number
    newer = bool(page) and page[0].number < ordered[0].number

    filters = [(name, value) for name, value in form.pairs if name not in _PAGING]

    def link(at: int, page_token: str | None) -> str:
        paging = [("Page", str(at)), ("PageSize", str(size))]
        if page_token is not None:
            paging.append(("PageToken", page_token))
        return f"{path}?{urlencode([*filters, *paging])}"

    return page, {
        "uri": link(index, token or None),
        "first_page_uri": link(0, None),
        "next_page_uri": link(index + 1, f"PA{page[-1].number}") if older else None,
        "previous_page_uri": link(max(0, index - 1), f"PB{page[0].number}") if newer else None,
        "page": index,
        "page_size": size,
    }


def _select(ordered: Sequence[N], size: int, token: str) -> list[N]:
    if not token:
        return list(ordered[:size])
    side, digits = token[:2], token[2:]
    if side not in ("PA", "PB") or not (digits.isascii() and digits.isdigit()):
        raise ApiError(21481)
    mark = int(digits)
    if side == "PA":
        return [item for item in ordered if item.number < mark][:size]
    return [item for item in ordered if item.number > mark][-size:]


def _whole(text: str | None, default: int, code: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ApiError(code)
    return int(text)
