"""What UCWA says when it refuses or fails, and what there is to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict

from telco_bridge.http import refusal
from telco_bridge.provider import ProviderError

from .body import Unreadable, body_in, is_ucwa

__all__ = ["Problem", "advice", "parse_problem", "problem_in", "refused", "said"]

_LONGEST = 500
_MOST_INPUTS = 20

_SUBCODES: Mapping[str, str] = {
    "AlreadyExists": "it exists already, or the same operation is running: wait for its outcome",
    "AnonymousNotAllowed": "a guest of a meeting may not do this: sign in as a user",
    "AnotherOperationPending": "another operation of this kind is running: wait for its outcome",
    "APIVersionNotSupported": "the server is too old for this input: leave out what newer revisions brought",
    "ApplicationNotFound": "the server has forgotten the application, and its calls with it: it has to be made again",
    "AttendeeNotAllowed": "an attendee may not do this: a leader of the meeting has to",
    "CallbackChannelError": "the server could not reach the other side's event channel: look what became of it first",
    "CannotRedirect": "the user has been moved and no backup pool answers: discover again after a pause",
    "ConversationNotFound": "the conversation has ended",
    "DeserializationFailure": "the server could not read the body: try the other setting of `format`",
    "DestinationNotFound": "nobody is known at that address: check it",
    "DialoutNotAllowed": "this user may not call phones from a meeting: ask the administrator for the policy",
    "ExchangeTimeout": "the server waited in vain for Exchange: try again later",
    "FederationRequired": "that address needs federation, which is not set up: ask the administrator",
    "InactiveApplicationExpired": "the application was silent for too long and is gone: sign in again",
    "InvalidExchangeServerVersion": "the version of the user's mailbox is not supported: ask the administrator",
    "InvalidMediaDescription": "the session description is not accepted: check the SDP",
    "InviteesOnly": "the meeting is open to invited people only: ask its organizer",
    "LimitExceeded": "a limit of the server is reached: end something first",
    "MakeMeAvailableRequired": "the user has to be made available first: set `available`",
    "MaxEventCountReached": "more events came than the server keeps, and some are lost: read again what matters",
    "MigrationInProgress": "the user is being moved: try again later",
    "ModalityNotSupported": "the other side does not take this kind of media",
    "NormalizationFailed": "the server could not make a phone number of it: write it as +14255550100",
    "NotAllowed": "the policy of this user or meeting forbids it: ask the administrator",
    "OperationNotSupported": "the server does not support this operation",
    "ParameterValidationFailure": "an input is missing or wrong: correct it before sending it again",
    "PGetReplaced": "another program reads the events of this application: give each its own endpoint_id",
    "PhoneNumberConflict": "the number to call is the user's own: check `phone_number`",
    "ProvisioningDataUnavailable": "the server cannot read the user's settings now: try again later",
    "ThreadIdAlreadyExists": "there is a conversation of that threadId: leave threadId out",
    "Timeout": "the server waited in vain for another one: look what became of it before asking again",
    "TooManyApplications": "the user has as many applications as the server allows: close one and sign in again",
    "TooManyContacts": "the user has as many contacts as the server allows",
    "TooManyConversations": "the user has as many conversations as the server allows: end one first",
    "TooManyGroups": "the user has as many contact groups as the server allows",
    "TooManyLobbyParticipants": "the lobby is full: try again later",
    "TooManyOnlineMeetings": "the user has as many meetings as the server allows: end one first",
    "TooManyParticipants": "the meeting is full",
    "UnsupportedMediaType": "the server does not read this type of body: try the other setting of `format`",
    "UserAgentNotAllowed": "the server bans this `user_agent`: ask the administrator",
}
"""By subcode, which UCWA documents to mean the same wherever it comes, and whatever it is said of."""

_STATUSES: Mapping[int, str] = {
    400: "the request is malformed: check its inputs",
    403: "the user lacks the right to do this, or to sign in this way: ask the administrator for the policy",
    404: "there is no such thing any more: read what there is now",
    405: "this cannot be done with that link",
    406: "the server does not answer in this form: try the other setting of `format`",
    408: "the server waited in vain for the request: look what became of it before asking again",
    409: "the state does not allow it, or the server does not support it here: read what is offered now",
    410: "it has gone for good: read what there is now",
    411: "the length of the body was missing: a proxy may have dropped it",
    412: "it was changed meanwhile: read it again before changing it",
    413: "it is too large for the server",
    415: "the server does not read this type of body: try the other setting of `format`",
    428: "the server wants to know which version is changed: read it before changing it",
    429: "nothing was executed: try again more slowly",
    500: "the server failed: look what became of it before asking again",
    502: "the server behind the proxy cannot be reached: try again later",
    503: "the server is not available: try again later",
    504: "the server waited in vain for another one: look what became of it before asking again",
}


def _word(value: object) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _inputs(value: object) -> dict[str, str]:
    """The offending inputs of an error: documented as a property bag, sent as a list of name and reason."""
    found: dict[str, str] = {}
    if isinstance(value, dict):
        for name, reason in cast("dict[object, object]", value).items():
            if isinstance(name, str) and isinstance(reason, str):
                found[name[:_LONGEST]] = reason[:_LONGEST]
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            bag = cast("dict[object, object]", item) if isinstance(item, dict) else {}
            name = _word(bag.get("name"))
            if name is not None:
                found[name] = _word(bag.get("reason")) or "Unknown"
    return dict(list(found.items())[:_MOST_INPUTS])


_Word = Annotated[str | None, BeforeValidator(_word)]


class Problem(BaseModel):
    """Why something failed or ended: the body of an error, and the `reason` of an event.

    What is meant for the server's own people, `debugInfo` and a link to a page of help, is left out.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: _Word = None
    subcode: _Word = None
    message: _Word = None
    parameters: Annotated[dict[str, str], BeforeValidator(_inputs)] = {}

    @property
    def name(self) -> str | None:
        """Code and subcode in one line; None where neither is given."""
        return "/".join(part for part in (self.code, self.subcode) if part) or None

    @property
    def words(self) -> str:
        """The message, with the inputs that were found wrong."""
        wrong = ", ".join(f"{name}: {reason}" for name, reason in self.parameters.items())
        return " ".join(part for part in (self.message, f"({wrong})" if wrong else None) if part)


def parse_problem(data: object) -> Problem | None:
    """Read a reason block; None where nothing in it can be read."""
    problem = Problem.model_validate(data if isinstance(data, dict) else {})
    return problem if problem.code or problem.subcode or problem.message else None


def problem_in(response: httpx.Response) -> Problem | None:
    """Return the reason in an error's body; None where UCWA gave none."""
    try:
        return parse_problem(body_in(response))
    except Unreadable:
        return None


def advice(response: httpx.Response, problem: Problem | None) -> str:
    """Return what to do about a refusal, by what the server said, else by the status alone; empty where unknown."""
    if not is_ucwa(response) and response.content:
        return "a proxy or web server answered, not UCWA: check the way to the server"
    told = _SUBCODES.get(problem.subcode or "") if problem is not None else None
    return told or _STATUSES.get(response.status_code, "")


def said(response: httpx.Response) -> str:
    """Return what a refusal says and what to do about it, as a clause without the address and without secrets."""
    problem = problem_in(response)
    name = problem.name if problem is not None else None
    return " ".join(part for part in (f"HTTP {response.status_code}", name, _words(response, problem)) if part)


def _words(response: httpx.Response, problem: Problem | None) -> str:
    words = problem.words.rstrip(". ") if problem is not None else ""
    return "; ".join(part for part in (words, advice(response, problem)) if part)


def refused(response: httpx.Response, what: str, *, now: float) -> ProviderError:
    """Return the fact that a refusal means, with what to do about it; `what` was asked."""
    problem = problem_in(response)
    return refusal(
        response,
        provider="ucwa",
        what=what,
        code=problem.name if problem is not None else None,
        message=_words(response, problem),
        now=now,
    )
