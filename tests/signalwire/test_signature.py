from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from telco_bridge.provider import WebRequest
from telco_bridge_laml.wire import Unreadable, form_pairs
from telco_bridge_signalwire.signature import is_signed, sign

# A worked example of the documented algorithm, computed apart from this code.
KEY = "PSK_example0signing0key"
URL = "https://hooks.example.net/sw/voice/status?tenant=blue"
BODY = (
    b"CallSid=6f0b7c2e-1d43-4a58-9a55-0d2a7e1c9b11&AccountSid=5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21&ApiVersion=2010-04-01"
    b"&Direction=outbound-api&From=%2B15550100001&To=%2B15550100002&Timestamp=Tue%2C+03+Mar+2026+09%3A15%3A42+%2B0000"
    b"&CallStatus=completed&CallbackSource=call-progress-events&CallDuration=17&SipResultCode=200&SequenceNumber=3"
)
SIGNATURE = "d9xSiKwIOFEb+XMq7ZzhGxN1Q80="
SIGNATURE_WITH_PORT = "GScXCdKVFjUSAiV5Jsh2p4YqJPc="
SIGNATURE_OF_GET = "btfHBe1jZSqB9WEgzxQ7ky+h/6Q="
SIGNATURE_OF_JSON_SCHEME = "fee4b6996d295b87a73fb53a011c4ea091b85720"

FORM = "application/x-www-form-urlencoded"


def request(
    signature=SIGNATURE, *, url=URL, body=BODY, method="POST", content_type=FORM, header="x-signalwire-signature"
):
    headers = {"content-type": content_type} if content_type is not None else {}
    if signature is not None:
        headers[header] = signature
    query = url.partition("?")[2]
    return WebRequest(method=method, path="status", query=query, url=url, headers=headers, body=body)


def test_the_worked_example_is_signed():
    assert sign(KEY, URL, tuple(parse_qsl(BODY.decode()))) == SIGNATURE
    assert is_signed(request(), [KEY])


def test_a_default_port_in_the_url_is_accepted_on_either_side():
    with_port = URL.replace(".net/", ".net:443/")

    assert is_signed(request(SIGNATURE_WITH_PORT), [KEY])
    assert is_signed(request(url=with_port), [KEY])
    assert is_signed(request(SIGNATURE_WITH_PORT, url=with_port), [KEY])


def test_a_port_of_its_own_may_be_signed_or_left_out():
    url = "http://[::1]:8080/status?a=1"

    assert is_signed(request(sign(KEY, url), url=url, body=b""), [KEY])
    assert is_signed(request(sign(KEY, "http://[::1]/status?a=1"), url=url, body=b""), [KEY])


def test_credentials_in_the_url_may_be_signed_or_left_out():
    url = "https://user:pa55@hooks.example.net/status"

    assert is_signed(request(sign(KEY, url), url=url, body=b""), [KEY])
    assert is_signed(request(sign(KEY, "https://hooks.example.net/status"), url=url, body=b""), [KEY])


def test_a_get_signs_its_url_alone():
    url = f"{URL}&{BODY.decode()}"

    assert is_signed(request(SIGNATURE_OF_GET, url=url, body=b"", method="GET", content_type=None), [KEY])


def test_the_published_vector_of_the_imitated_scheme_is_signed():
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }

    assert sign("12345", url, tuple(form.items())) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_the_older_header_is_accepted_but_the_newer_one_goes_first():
    assert is_signed(request(header="x-twilio-signature"), [KEY])

    both = request("wrong")
    headers = {**both.headers, "x-twilio-signature": SIGNATURE}
    assert not is_signed(
        WebRequest(method="POST", path="status", query="tenant=blue", url=URL, headers=headers, body=BODY), [KEY]
    )


def test_during_a_rotation_both_keys_are_accepted():
    assert is_signed(request(), ["PSK_new", KEY])
    assert not is_signed(request(), ["PSK_new", "PSK_newer"])
    assert not is_signed(request(), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": None},
        {"signature": ""},
        {"signature": "é\udcff"},
        {"signature": SIGNATURE_OF_JSON_SCHEME},
        {"signature": SIGNATURE[:-2]},
        {"body": BODY.replace(b"completed", b"busy")},
        {"body": BODY + b"&Extra=1"},
        {"body": BODY + b"&Extra=%FF"},
        {"body": b""},
        {"url": URL.replace("blue", "red")},
        {"url": URL.replace("https", "http")},
        {"url": URL.replace("status", "stream")},
        {"url": "https://[broken/status"},
        {"method": "GET"},
        {"content_type": "text/plain"},
        {"content_type": None},
        {"content_type": "multipart/form-data"},
    ],
)
def test_anything_altered_is_not_signed(changes):
    assert not is_signed(request(**changes), [KEY])


def test_a_url_that_cannot_be_split_is_compared_as_it_is():
    url = "https://[broken/status"

    assert is_signed(request(sign(KEY, url), url=url, body=b""), [KEY])


def test_a_json_body_is_signed_by_its_digest_in_the_url():
    body = b'{"CallSid":"C"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"

    assert is_signed(request(sign(KEY, url), url=url, body=body, content_type="application/json"), [KEY])
    assert not is_signed(request(sign(KEY, url), url=url, body=b"{}", content_type="application/json"), [KEY])
    assert not is_signed(request(sign(KEY, URL), url=URL, body=body, content_type="application/json"), [KEY])


def test_repeated_names_are_accepted_in_submission_order_and_as_a_sorted_set():
    body = b"E=ringing&E=answered&E=ringing&A=1"
    in_order = sign(KEY, URL + "A1EringingEansweredEringing")
    as_set = sign(KEY, URL + "A1EansweredEringing")

    assert is_signed(request(in_order, body=body), [KEY])
    assert is_signed(request(as_set, body=body), [KEY])
    assert not is_signed(request(sign(KEY, URL + "A1Eringing"), body=body), [KEY])


def test_names_are_sorted_by_bytes_and_empty_values_are_nothing():
    assert sign(KEY, URL, (("b", ""), ("CallbackSource", "x"), ("CallStatus", "y"))) == sign(
        KEY, URL + "CallStatusyCallbackSourcexb"
    )


NAMES = st.text("abcABC", min_size=1, max_size=3)


@given(
    form=st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
    port=st.sampled_from(["", ":443"]),
)
def test_an_independent_validator_agrees(form, port):
    signature = RequestValidator(KEY).compute_signature(f"https://a.example{port}/x", form)

    body = urlencode(form).encode()
    assert is_signed(request(signature, url="https://a.example/x", body=body), [KEY])
    assert is_signed(request(signature, url="https://a.example:443/x", body=body), [KEY])


@given(st.text("abé=&+%2C0 \n", max_size=30))
def test_forms_are_read_as_everybody_reads_them(text):
    try:
        usual = tuple(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        with pytest.raises(Unreadable):
            form_pairs(text.encode())
    else:
        assert form_pairs(text.encode()) == form_pairs(text) == usual


def test_a_form_of_too_many_fields_is_unreadable():
    with pytest.raises(Unreadable):
        form_pairs("a=1&" * 1000 + "b=2")
