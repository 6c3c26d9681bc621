"""Why a webhook was refused: whatever SignalWire could have signed is named, and nothing that it has not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.cli.capture import Caught, as_the_bridge_sees_it
from telco_bridge.provider import Diagnosis
from telco_bridge_signalwire.addresses import split
from telco_bridge_signalwire.config import SignalWireConfig
from telco_bridge_signalwire.diagnosis import diagnose
from telco_bridge_signalwire.signature import is_signed

KEY, OLD_KEY, TOKEN = "PSK_example0signing0key", "PSK_example0older0key", "PT_example0api0token"
PROJECT = "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21"
PUBLIC = "https://hooks.example.net/telco"
ADDRESS = f"{PUBLIC}/status?call=c1"
FIELDS = {
    "AccountSid": PROJECT,
    "CallSid": "6f0b7c2e-1d43-4a58-9a55-0d2a7e1c9b11",
    "From": "+15550100001",
    "Timestamp": "Tue, 03 Mar 2026 09:15:42 +0000",
    "CallStatus": "completed",
}
FORM = "application/x-www-form-urlencoded"


def configured(**changes):
    settings = {"project": PROJECT, "token": TOKEN, "signing_key": KEY, "space": "example.signalwire.com"}
    return SignalWireConfig.model_validate({k: v for k, v in {**settings, **changes}.items() if v is not None})


def signed(address, fields=(), key=KEY):
    """The documented signature, computed apart from the plugin."""
    pairs = sorted(dict(fields).items(), key=lambda pair: pair[0].encode())
    text = address + "".join(name + value for name, value in pairs)
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def explain(
    signature,
    *,
    seen=ADDRESS,
    public_url=PUBLIC,
    body=None,
    method="POST",
    content_type=FORM,
    headers=(),
    config=None,
) -> Diagnosis:
    body = urlencode(FIELDS).encode() if body is None else body
    named = {**({"content-type": content_type} if content_type and body else {}), **dict(headers)}
    caught = Caught(method=method, url=seen, headers=named, body=body)
    capture = as_the_bridge_sees_it(caught, public_url=public_url, signature=signature)
    diagnosis = diagnose(config or configured(), capture)
    said = repr(diagnosis)
    assert not [secret for secret in (KEY, OLD_KEY, TOKEN) if secret in said]
    assert not re.search(r"[A-Za-z0-9+/]{27}=|\b[0-9a-f]{40}\b", said), "no signature is ever told"
    return diagnosis


def facts(diagnosis):
    return " ".join(finding.fact for finding in diagnosis.findings)


def remedies(diagnosis):
    return " ".join(finding.remedy for finding in diagnosis.findings)


def test_a_request_that_the_bridge_accepts_needs_nothing():
    diagnosis = explain(signed(ADDRESS, FIELDS))

    assert (diagnosis.accepted, diagnosis.signed, diagnosis.findings) == (True, ADDRESS, ())


def test_behind_a_proxy_the_configured_address_counts():
    assert explain(signed(ADDRESS, FIELDS), seen="http://10.0.0.5:8080/status?call=c1").accepted
    assert explain(signed(ADDRESS, FIELDS), seen="http://10.0.0.5:8080/telco/status?call=c1").accepted


def test_the_key_before_a_rotation_is_accepted_and_told():
    config = configured(previous_signing_key=OLD_KEY)

    diagnosis = explain(signed(ADDRESS, FIELDS, OLD_KEY), config=config)

    assert diagnosis.accepted
    assert "previous_signing_key" in facts(diagnosis)


# What the provider could have signed

HOSTS = st.sampled_from(["hooks.example.net", "Calls.Example.org", "203.0.113.7", "[2001:db8::7]"])
PORTS = st.sampled_from(["", ":80", ":443", ":8443"])
PREFIXES = st.sampled_from(["", "/telco", "/a/b"])
WORDS = st.sampled_from(["voice", "status", "stream", "recording"])
QUERIES = st.sampled_from(["", "?call=c1", "?call=c1&command=d2"])


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=HOSTS,
    port=PORTS,
    prefix=PREFIXES,
    word=WORDS,
    query=QUERIES,
    told=st.sampled_from(["address", "headers", "settings"]),
    inner=st.sampled_from(["http://10.0.0.5:8080", "http://127.0.0.1", "https://inner.example"]),
    stripped=st.booleans(),
    public_url=st.sampled_from([None, "https://other.example", "http://hooks.example.net/telco"]),
)
def test_whatever_place_was_signed_is_named_and_setting_it_makes_it_right(
    scheme, host, port, prefix, word, query, told, inner, stripped, public_url
):
    place = f"{scheme}://{host}{port}"
    address = f"{place}{prefix}/{word}{query}"
    headers = {}
    seen = address
    if told != "address":
        seen = f"{inner}{'' if stripped else prefix}/{word}{query}"
    if told == "headers":
        headers = {"x-forwarded-host": f"{host}{port}", "x-forwarded-prefix": prefix}
    elif told == "settings":
        public_url = f"http://{host}{port}{prefix}"

    diagnosis = explain(signed(address, FIELDS), seen=seen, public_url=public_url, headers=headers)

    assert diagnosis.signed == address
    if not diagnosis.accepted:
        (value,) = re.findall(r'web\.public_url = "([^"]*)"', remedies(diagnosis))
        mended = explain(signed(address, FIELDS), seen=seen, public_url=value, headers=headers)
        assert mended.accepted


def test_the_remedy_tells_what_is_different_and_what_to_do_with_the_path():
    diagnosis = explain(
        signed(ADDRESS, FIELDS),
        seen="http://10.0.0.5:8080/status?call=c1",
        public_url="http://hooks.example.net:8080",
        headers={"x-forwarded-prefix": "/telco"},
    )

    assert "the scheme is https, not http" in facts(diagnosis)
    assert "the port is none, not 8080" in facts(diagnosis)
    assert remedies(diagnosis) == (
        f'set web.public_url = "{PUBLIC}"; and let the proxy take /telco off the path, or mount bridge.asgi there'
    )


@given(
    address=st.sampled_from([f"{PUBLIC}/status", f"{PUBLIC}/status?a=1&b=x%20y&c="]),
    slash=st.booleans(),
    credentials=st.sampled_from(["", "user:pa55word@"]),
    fragment=st.sampled_from(["", "#rt=8000"]),
    query=st.sampled_from(["same", "lost", "anew"]),
)
def test_whatever_form_of_the_address_was_signed_is_named(address, slash, credentials, fragment, query):
    path, mark, asked = address.partition("?")
    configured_address = f"{path}{'/' if slash else ''}{mark}{asked}{fragment}".replace("://", f"://{credentials}")
    arrived = {"same": f"{mark}{asked}", "lost": "", "anew": f"{mark}{asked.replace('%20', '+')}"}[query]
    headers = {}
    seen = f"{path}{arrived}"
    if credentials:
        headers["authorization"] = f"Basic {base64.b64encode(credentials[:-1].encode()).decode()}"
    if fragment or (query == "lost" and asked):
        # Only who configured them can tell them: the address is given as it is in SignalWire's dashboard.
        seen = f"{path}{mark}{asked}{fragment}"

    diagnosis = explain(signed(configured_address, FIELDS), seen=seen, headers=headers)

    assert diagnosis.signed == configured_address.replace(credentials, "…@" if credentials else "")
    assert diagnosis.accepted == (not (slash or credentials or fragment) and seen == configured_address)
    assert ("final slash" in facts(diagnosis)) == slash
    assert ("user and password" in facts(diagnosis)) == bool(credentials)
    assert ("fragment #rt=8000" in facts(diagnosis)) == bool(fragment)
    assert "pa55word" not in repr(diagnosis)


def test_a_query_that_was_added_is_told():
    diagnosis = explain(signed(f"{PUBLIC}/status", FIELDS), seen=f"{PUBLIC}/status?tracked=1")

    assert diagnosis.signed == f"{PUBLIC}/status"
    assert facts(diagnosis) == "The query of the address was added on the way."


def test_the_path_that_a_proxy_rewrote_is_found_in_its_header():
    diagnosis = explain(
        signed(f"{PUBLIC}/old/place?x=1", FIELDS),
        seen=f"{PUBLIC}/status",
        headers={"x-original-uri": "/telco/old/place?x=1"},
    )

    assert diagnosis.signed == f"{PUBLIC}/old/place?x=1"
    assert "/telco/old/place was signed, /telco/status is checked" in facts(diagnosis)


def test_a_slash_that_was_added_is_told():
    diagnosis = explain(signed(f"{PUBLIC}/status", FIELDS), seen=f"{PUBLIC}/status/")

    assert diagnosis.signed == f"{PUBLIC}/status"
    assert "without the final slash" in facts(diagnosis)


def test_a_right_signature_at_a_path_without_a_webhook_is_not_accepted():
    diagnosis = explain(signed(f"{PUBLIC}/", FIELDS), seen=f"{PUBLIC}/")

    assert not diagnosis.accepted
    assert "no webhook at /" in facts(diagnosis)


# What became of the form

BARE = "&".join(f"{name}={value}" for name, value in FIELDS.items()).encode()
JSON = json.dumps(FIELDS).encode()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"body": urlencode(FIELDS).encode() + b"\n"}, "a line end that was not sent"),
        ({"body": urlencode(FIELDS).encode() + b"\r\n"}, "a line end that was not sent"),
        ({"body": BARE}, "a + was left as it is"),
        ({"body": quote_plus(urlencode(FIELDS), safe="=&").encode()}, "encoded twice"),
        ({"body": JSON, "content_type": "application/json"}, "written anew as JSON"),
        ({"content_type": "text/plain"}, "another content type"),
        ({"content_type": None}, "without a content type"),
        (
            {"body": b"", "seen": f"{ADDRESS}&{urlencode(FIELDS)}", "method": "GET"},
            "sent a form with POST, and a GET arrived",
        ),
    ],
)
def test_a_form_that_was_written_anew_is_recognized(change, told):
    diagnosis = explain(signed(ADDRESS, FIELDS), **change)

    assert not diagnosis.accepted
    assert diagnosis.signed == ADDRESS
    assert told in facts(diagnosis)


def test_a_form_in_another_character_set_is_recognized():
    fields = {**FIELDS, "CallerName": "Zoë"}

    diagnosis = explain(signed(ADDRESS, fields), body=urlencode(fields, encoding="latin-1").encode())

    assert "another character set" in facts(diagnosis)


def test_a_get_that_became_a_post_is_recognized():
    query = urlencode(FIELDS)

    diagnosis = explain(signed(f"{ADDRESS}&{query}"))

    assert diagnosis.signed == f"{ADDRESS}&{query}"
    assert "sent a GET, and a POST arrived" in facts(diagnosis)


def test_a_body_that_is_not_covered_is_told():
    diagnosis = explain(signed(ADDRESS))

    assert not diagnosis.accepted
    assert "covers the address alone" in facts(diagnosis)


def test_a_json_body_that_the_address_vouches_for_is_no_finding():
    body = b'{"CallSid":"C"}'
    address = f"{PUBLIC}/status?bodySHA256={hashlib.sha256(body).hexdigest()}"

    right = diagnose_json(address, address, body)
    elsewhere = diagnose_json(address, address.replace(PUBLIC, "http://10.0.0.5"), body, public_url=None)

    assert right.accepted
    assert not elsewhere.accepted
    assert "body" not in facts(elsewhere)


def diagnose_json(address, seen, body, *, public_url=PUBLIC):
    headers = {
        "content-type": "application/json",
        "x-forwarded-host": "hooks.example.net",
        "x-forwarded-prefix": "/telco",
    }
    caught = Caught(method="POST", url=seen, headers=headers, body=body)
    return diagnose(configured(), as_the_bridge_sees_it(caught, public_url=public_url, signature=signed(address)))


@given(st.permutations([("E", "ringing"), ("E", "answered"), ("E", "completed"), ("A", "1")]), st.booleans())
def test_repeated_names_are_recognized_in_both_orders_at_another_place(pairs, in_order):
    ours = sorted(pairs, key=lambda pair: pair[0]) if in_order else sorted(set(pairs))
    text = ADDRESS + "".join(name + value for name, value in ours)

    diagnosis = explain(signed(text), seen=ADDRESS, public_url="http://other.example", body=urlencode(pairs).encode())

    assert diagnosis.signed == ADDRESS


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256])
@pytest.mark.parametrize("header", ["x-signalwire-signature", "x-signalwire-sha256-signature"])
def test_the_scheme_of_json_documents_is_told_from_that_of_forms(digest, header):
    body = b'{"call":{}}'
    mac = hmac.new(KEY.encode(), ADDRESS.encode() + body, digest).hexdigest()

    diagnosis = explain(None, seen=ADDRESS, body=body, content_type="application/json", headers={header: mac})

    assert not diagnosis.accepted
    assert diagnosis.signed == ADDRESS
    assert "SWML" in facts(diagnosis)


# Keys, and the signature itself


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        ({"signing_key": f" {KEY}\n"}, KEY, "signing_key has white space"),
        ({"signing_key": f'"{KEY}"'}, KEY, "quotation marks"),
        ({"previous_signing_key": f"{OLD_KEY} "}, OLD_KEY, "previous_signing_key has white space"),
        ({"token": KEY, "signing_key": "PSK_other"}, KEY, "configured as token"),
        ({"token": KEY, "signing_key": None}, KEY, "configured as token"),
    ],
)
def test_a_key_in_the_wrong_shape_or_place_is_recognized(changes, key, told):
    diagnosis = explain(signed(ADDRESS, FIELDS, key), config=configured(**changes))

    assert not diagnosis.accepted
    assert diagnosis.signed == ADDRESS
    assert told in facts(diagnosis)


def test_a_signature_that_was_damaged_is_mended():
    addresses = [f"{PUBLIC}/status?call={n}" for n in range(300)]
    with_plus = [(url, mac) for url in addresses if "+" in (mac := signed(url, FIELDS))]

    assert any(mac.startswith("+") for _, mac in with_plus)
    for address, right in with_plus:
        for damaged in (f'"{right}"', right.replace("+", " ").strip(), quote_plus(right)):
            diagnosis = explain(damaged, seen=address)
            assert not diagnosis.accepted
            assert diagnosis.signed == address
            assert "The signature itself was changed" in facts(diagnosis)


def test_the_other_header_may_be_the_right_one():
    headers = {
        "x-signalwire-signature": signed("https://else.where", FIELDS),
        "x-twilio-signature": signed(ADDRESS, FIELDS),
    }

    diagnosis = explain(None, headers=headers)

    assert not diagnosis.accepted
    assert "x-twilio-signature is right" in facts(diagnosis)


def test_a_malformed_address_is_told_even_where_a_header_knows_the_right_one():
    diagnosis = explain(
        signed(ADDRESS, FIELDS),
        seen="https://[::1]x/telco/status?call=c1",
        public_url=None,
        headers={"x-forwarded-host": "hooks.example.net", "x-original-uri": "/telco/status?call=c1"},
    )

    assert diagnosis.signed == ADDRESS
    assert facts(diagnosis) == "The address of the request is malformed."


# Where nothing matches


@given(
    key=st.text(min_size=1, max_size=20).filter(lambda key: key.strip() not in (KEY, TOKEN)),
    fields=st.dictionaries(st.text("abAB", min_size=1), st.text(max_size=5), max_size=3),
    seen=st.sampled_from([ADDRESS, "http://10.0.0.5:8080/status", f"{PUBLIC}/status/?call=%20"]),
    method=st.sampled_from(["GET", "POST"]),
)
def test_a_forged_request_never_matches(key, fields, seen, method):
    pairs = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    forged = signed(seen, pairs, key.encode("utf-8", "replace").decode())

    diagnosis = explain(forged, seen=seen, body=urlencode(pairs).encode(), method=method)

    assert not diagnosis.accepted
    assert diagnosis.signed is None
    assert diagnosis.tried > 0
    assert diagnosis.findings


def test_a_forged_request_in_the_scheme_of_json_documents_never_matches():
    body = b'{"call":{}}\n'
    mac = hmac.new(b"PSK_other", ADDRESS.encode() + body, hashlib.sha1).hexdigest()

    diagnosis = explain(mac, body=body, content_type="application/json", headers={"authorization": "Basic {"})

    assert diagnosis.signed is None
    assert diagnosis.tried > 0


@given(st.text(max_size=60), st.binary(max_size=40), st.sampled_from(["GET", "POST", "PUT"]), st.text(max_size=20))
def test_whatever_arrives_is_explained_as_the_bridge_decides(signature, body, method, query):
    caught = Caught(method=method, url=f"{PUBLIC}/status?{query}", headers={"content-type": FORM}, body=body)
    capture = as_the_bridge_sees_it(caught, public_url=PUBLIC, signature=signature)

    diagnosis = diagnose(configured(), capture)

    request = replace(capture.request, headers={**capture.request.headers, "x-signalwire-signature": signature})
    assert diagnosis.accepted == is_signed(request, [KEY])


@pytest.mark.parametrize(
    ("signature", "changes", "told"),
    [
        (None, {}, "carries no signature"),
        ("d9xSiKwIOFEb", {}, "has 12 characters"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"config": configured(signing_key=None)}, "signing_key is not set"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"config": configured(signing_key=TOKEN)}, "token are the same"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"config": configured(signing_key="abc")}, "does not begin with PSK_"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"config": configured(project="p2")}, "those of p2"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"headers": {"content-length": "17"}}, "Content-Length says 17"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"content_type": "text/plain"}, "no form by its Content-Type"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"body": b""}, "The body is empty"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"public_url": None}, "web.public_url is not set"),
        (signed(ADDRESS, FIELDS, "PSK_x"), {"method": "GET", "body": b"", "seen": f"{ADDRESS}&x=%FF"}, "What is left"),
    ],
)
def test_where_nothing_matches_it_says_what_speaks_for_itself(signature, changes, told):
    diagnosis = explain(signature, **changes)

    assert not diagnosis.accepted
    assert diagnosis.signed is None
    assert told in facts(diagnosis)


def test_an_address_is_split_and_joined_without_changing_a_character():
    for url in (
        ADDRESS,
        "HTTP://u:p@[::1]:8080/a//b/?x=%20&y#rt=1?2",
        "https://h",
        "https://h?",
        "https://h:#",
        "http://h/#",
    ):
        assert str(split(url)) == url
    assert split("ftp://h/") is None
    assert split("https:///path") is None
    assert urlsplit(ADDRESS).path == split(ADDRESS).path
