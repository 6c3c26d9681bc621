"""The date filters of lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .dates import Moment, parse_moment
from .errors import ApiError
from .forms import Form

__all__ = ["pass_dates"]


def pass_dates(form: Form, instants: Mapping[str, float | None]) -> bool:
    """Whether something with these instants, named as the form names them, passes the form's date filters.

    What has no such instant passes no filter of that name; a blank filter filters nothing. Raises `ApiError`.
    """
    passed = True
    for field, at in instants.items():
        for operator in ("", "<", ">"):
            text = form.get(field + operator)
            if not text:
                continue
            moment = parse_moment(text)
            if moment is None:
                raise ApiError(20422, f"{field} is not a date")
            passed = passed and at is not None and _test(moment, operator)(float(int(at)))
    return passed


def _test(moment: Moment, operator: str) -> Callable[[float], bool]:
    # The operator is the end of the name: `StartTime<=x` names `StartTime<`, so the bound itself is included.
    match operator:
        case "<":
            return lambda at: at <= moment.begins
        case ">":
            return lambda at: at >= moment.begins
        case _:
            return moment.includes
