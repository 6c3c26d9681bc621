"""What a refusal says, and what it tells the operator to do."""

from __future__ import annotations

import httpx
import pytest

from telco_bridge.provider import AnswerLost, AuthenticationFailed, ProviderError, RateLimited, Refused
from telco_bridge_ucwa.problems import parse_problem, problem_in, refused, said
from telco_bridge_ucwa.xml import NAMESPACE

DOCUMENTED = [
    (400, "BadRequest", None, "malformed"),
    (400, "BadRequest", "DeserializationFailure", "`format`"),
    (400, "BadRequest", "NormalizationFailed", "+14255550100"),
    (400, "BadRequest", "ParameterValidationFailure", "correct it"),
    (403, "Forbidden", None, "policy"),
    (403, "Forbidden", "AnonymousNotAllowed", "sign in as a user"),
    (404, "NotFound", None, "read what there is"),
    (404, "NotFound", "APIVersionNotSupported", "too old"),
    (404, "NotFound", "ApplicationNotFound", "made again"),
    (404, "NotFound", "DestinationNotFound", "check it"),
    (405, "MethodNotAllowed", None, "cannot be done"),
    (408, "ClientTimeout", None, "look what became of it"),
    (409, "Conflict", None, "does not support it"),
    (409, "Conflict", "AlreadyExists", "wait for its outcome"),
    (409, "Conflict", "MakeMeAvailableRequired", "`available`"),
    (409, "Conflict", "PGetReplaced", "endpoint_id"),
    (409, "Conflict", "TooManyGroups", "as many contact groups"),
    (410, "Gone", None, "gone for good"),
    (410, "Gone", "CannotRedirect", "discover again"),
    (410, "Gone", "InactiveApplicationExpired", "sign in again"),
    (410, "Gone", "TooManyApplications", "close one"),
    (410, "Gone", "UserAgentNotAllowed", "`user_agent`"),
    (412, "PreconditionFailed", None, "read it again"),
    (413, "EntityTooLarge", None, "too large"),
    (415, "UnsupportedMediaType", "UnsupportedMediaType", "`format`"),
    (428, "PreconditionRequired", None, "read it before"),
    (429, "TooManyRequests", None, "more slowly"),
    (500, "ServiceFailure", None, "look what became of it"),
    (500, "ServiceFailure", "CallbackChannelError", "event channel"),
    (500, "ServiceFailure", "InvalidExchangeServerVersion", "mailbox"),
    (500, "ServiceFailure", "ProvisioningDataUnavailable", "try again later"),
    (500, "ExchangeServiceFailure", "ExchangeTimeout", "try again later"),
    (503, "ServiceUnavailable", None, "try again later"),
    (504, "Timeout", "Timeout", "look what became of it"),
    (504, "GatewayTimeout", None, "look what became of it"),
]
"""Every error that UCWA documents for any resource, and those of the operations of calls."""
KINDS = {401: AuthenticationFailed, 403: AuthenticationFailed, 429: RateLimited}
SECRETS = {"debugInfo": {"token": "cwt=s3cret"}, "link": {"href": "https://help.example.org/?key=s3cret"}}


def answer(status: int, body: object = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers=headers)


def error(response: httpx.Response) -> ProviderError:
    return refused(response, "POST startPhoneAudio", now=0.0)


@pytest.mark.parametrize(("status", "code", "subcode", "advice"), DOCUMENTED)
def test_every_documented_error_says_what_it_is_and_what_to_do(status, code, subcode, advice):
    parameters = [{"name": "to", "reason": "Invalid"}]
    body = {"code": code, "subcode": subcode, "message": "Words of it.", "parameters": parameters, **SECRETS}
    raised = error(answer(status, body))

    assert type(raised) is KINDS.get(status, AnswerLost if status >= 500 else Refused)
    assert (raised.status, raised.code) == (status, f"{code}/{subcode}" if subcode else code)
    assert f"POST startPhoneAudio: HTTP {status} {raised.code} Words of it. (to: Invalid); " in str(raised)
    assert advice in str(raised).partition("; ")[2]
    assert "s3cret" not in str(raised)


def test_a_subcode_that_is_new_stays_readable_beside_what_its_status_means():
    raised = error(answer(409, {"code": "Conflict", "subcode": "MoonIsFull", "message": None}))

    assert raised.code == "Conflict/MoonIsFull"
    assert "HTTP 409 Conflict/MoonIsFull the state does not allow it" in str(raised)


def test_a_status_that_is_new_is_told_without_advice():
    assert said(answer(418, {"code": "Teapot", "message": "short and stout"})) == "HTTP 418 Teapot short and stout"


@pytest.mark.parametrize("status", [403, 404, 411, 502])
def test_a_page_of_html_is_told_from_what_ucwa_says(status):
    page = httpx.Response(status, html="<h1>Bad Gateway</h1>")

    assert problem_in(page) is None
    assert "a proxy or web server answered, not UCWA" in str(error(page))


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ([{"name": "sdp", "reason": "Invalid"}, {"reason": "?"}, "odd", {"name": "to"}], "(sdp: Invalid, to: Unknown)"),
        ({"sdp": "Invalid", "to": "Required", "odd": {"a": 1}}, "(sdp: Invalid, to: Required)"),
        ("odd", ""),
        (None, ""),
    ],
)
def test_the_inputs_that_were_wrong_come_as_a_list_or_as_a_bag(parameters, shown):
    problem = parse_problem({"code": "BadRequest", "parameters": parameters})

    assert problem is not None
    assert problem.words == shown


def test_an_error_without_bounds_is_cut():
    problem = parse_problem(
        {"code": "BadRequest", "message": "x" * 9000, "parameters": {f"p{n}": "y" for n in range(99)}}
    )

    assert problem is not None
    assert len(problem.message or "") == 500
    assert len(problem.parameters) == 20


@pytest.mark.parametrize(
    "body",
    [
        (
            "<code>BadRequest</code><subcode>ParameterValidationFailure</subcode><message>Words.</message>"
            '<parameters><parameter name="to" reason="Invalid"/></parameters>'
        ),
        (
            '<property name="code">BadRequest</property><property name="subcode">ParameterValidationFailure</property>'
            '<property name="message">Words.</property><parameters><property name="to">Invalid</property></parameters>'
        ),
    ],
)
def test_an_error_in_xml_says_the_same(body):
    document = f'<reason xmlns="{NAMESPACE}">{body}</reason>'
    response = httpx.Response(400, content=document, headers={"Content-Type": "application/xml"})

    raised = error(response)

    assert raised.code == "BadRequest/ParameterValidationFailure"
    assert "Words. (to: Invalid); " in str(raised)


@pytest.mark.parametrize(("headers", "pause"), [({"Retry-After": "7"}, 7.0), ({}, None)])
def test_a_throttled_request_tells_the_pause_where_the_server_names_one(headers, pause):
    raised = error(answer(429, {"code": "TooManyRequests"}, **headers))

    assert isinstance(raised, RateLimited)
    assert raised.retry_after == pause
