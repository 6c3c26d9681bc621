"""A promise: one sentence that a provider keeps, the test that checks it, and when it applies."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Protocol, TypeVar, cast

import anyio
import pytest

from ..capabilities import Capability
from .harness import Harness, Trouble

__all__ = ["PROPERTY", "Level", "Promise", "PromiseBroken", "promise", "promises_of", "skip"]

PROPERTY = "telco_bridge"
"""The name of the test property that carries to the certificate what it needs."""

Check = TypeVar("Check", bound=Callable[..., Coroutine[object, object, None]])


class Level(StrEnum):
    """How far a provider has come."""

    BASIC = "basic"
    """It dials, hangs up, and tells why calls end."""
    MEDIA = "media"
    """It starts and stops media without touching the call."""
    INBOUND = "inbound"
    """It brings calls that come in, to be answered or rejected."""
    FULL = "full"
    """Everything that its provider can do, it does."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a test of the kit checks. Where a capability of `needs` is not usable, the promise does not apply.

    `tells` are capabilities that it shows to be as declared, each where it applies.
    """

    name: str
    sentence: str
    level: Level
    needs: tuple[Capability, ...]
    troubles: tuple[Trouble, ...]
    tells: tuple[Capability, ...] = ()


class PromiseBroken(AssertionError):
    """A provider does not keep a promise; the message names both, and the cause is chained."""


class _Test(Protocol):
    promise: Promise


def promise(
    level: Level,
    *,
    needs: Iterable[Capability] = (),
    troubles: Iterable[Trouble] = (),
    tells: Iterable[Capability] = (),
) -> Callable[[Check], Check]:
    """Make a test method the check of a promise, whose sentence is the first line of its docstring.

    It is skipped, with the reason, where the provider declares that it lacks one of `needs` or the harness says that
    one of `troubles` is impossible. It must be done within the harness's patience.
    """

    def mark(test: Check) -> Check:
        sentence = (inspect.getdoc(test) or "").partition("\n")[0]
        kept = Promise(test.__name__, sentence, level, tuple(needs), tuple(troubles), tuple(tells))

        @functools.wraps(test)
        async def check(self: object, harness: Harness, *args: object, **kwargs: object) -> None:
            _skip_where_it_does_not_apply(kept, harness)
            try:
                with anyio.fail_after(harness.patience):
                    await test(self, harness, *args, **kwargs)
                unmade = ", ".join(harness.unmade())
                assert not unmade, f"{unmade} was injected and never made, so nothing is proved: mend the harness"
            except (Exception, pytest.fail.Exception) as error:
                raise PromiseBroken(_broken(kept, harness, error)) from error

        cast("_Test", check).promise = kept
        return cast("Check", check)

    return mark


def promises_of(contract: type) -> tuple[Promise, ...]:
    """Return every promise that a contract class checks, in the order in which they are written."""
    found: dict[str, Promise] = {}
    for owner in contract.__mro__:
        for name in vars(owner):
            kept: object = getattr(getattr(contract, name, None), "promise", None)
            if isinstance(kept, Promise):
                found.setdefault(name, kept)
    return tuple(found.values())


def skip(why: str) -> NoReturn:
    """Leave the test: the promise does not apply, and why."""
    pytest.skip(f"not applicable: {why}")


def _skip_where_it_does_not_apply(kept: Promise, harness: Harness) -> None:
    support = harness.plugin.support
    for capability in kept.needs:
        declared = support.get(capability)
        if declared is None or not declared.usable:
            level = declared.level if declared is not None else "not declared"
            skip(f"{capability} is {level}")
        if capability in harness.lacks:
            skip(f"{capability} is not possible in this set-up: {harness.lacks[capability]}")
    for trouble in kept.troubles:
        if trouble in harness.impossible:
            skip(f"{trouble} cannot happen: {harness.impossible[trouble]}")


def _broken(kept: Promise, harness: Harness, error: BaseException) -> str:
    what = f"{harness.title} breaks the promise: {kept.sentence}"
    if isinstance(error, TimeoutError):
        return f"{what}\n  (not in time: the patience is {harness.patience:g} s)"
    text = f"{type(error).__name__}: {error}"
    return f"{what}\n  {text}"
