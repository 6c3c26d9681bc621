"""The API's two spellings of an instant, and the three that its filters accept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

__all__ = ["Moment", "iso8601", "parse_moment", "rfc2822"]

_DAY = 86400.0


def rfc2822(seconds: float) -> str:
    """Return the instant as REST answers and call callbacks spell it."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))


def iso8601(seconds: float) -> str:
    """Return the instant as stream callbacks spell it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Moment:
    """What a date filter names: a second, or a whole day."""

    begins: float
    lasts: float

    def includes(self, seconds: float) -> bool:
        """Whether the instant falls into it."""
        return self.begins <= seconds < self.begins + self.lasts


def parse_moment(text: str) -> Moment | None:
    """Read RFC 2822, `YYYY-MM-DD` or ISO 8601 (without a zone: UTC); None for anything else."""
    lasts = _DAY if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else 1.0
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        try:
            parsed = parsedate_to_datetime(text)
        except ValueError:
            return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return Moment(float(int(parsed.timestamp())), lasts)
