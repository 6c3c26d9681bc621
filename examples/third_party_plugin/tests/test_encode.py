"""What is sent for a command, and what is not."""

from typing import Any

import pytest
from telco_bridge.provider import Dial, HangUp, Modality, Refused, SendDigits, TooLate, Unsupported

from telco_bridge_baresip import encode


def dial(to: str, **options: Any) -> Dial:
    return Dial(id="1", call="1", to=to, **options)


@pytest.mark.parametrize("to", ["sip:bob@example.net", "sip:bob@[::1]:5061;transport=tls", "sip:+1555@10.0.0.1:5060"])
def test_a_sip_address_is_dialled_as_it_is(to: str) -> None:
    assert encode.address(dial(to), domain=None) == to


def test_the_scheme_is_written_as_baresip_looks_for_it() -> None:
    assert encode.address(dial("SIP:Bob@Example.net"), domain=None) == "sip:Bob@Example.net"


def test_a_number_is_called_at_the_domain() -> None:
    assert encode.address(dial("+15550100"), domain="example.net") == "sip:+15550100@example.net"
    assert encode.address(dial("*31#7"), domain="example.net") == "sip:*31%237@example.net"


@pytest.mark.parametrize(
    "to",
    [
        "+15550100",
        "sip:example.net",
        "sip:a b@h",
        "sip:a@h>;x",
        "tel:+1555",
        "sips:a@h",
        "",
        "sip:ä@h",
        "sip:a@" + "h" * 300,
    ],
)
def test_what_baresip_would_complete_or_misread_is_refused(to: str) -> None:
    with pytest.raises(Refused, match="Nothing was sent"):
        encode.address(dial(to), domain=None)


def test_media_of_the_application_are_not_supported() -> None:
    with pytest.raises(Unsupported):
        encode.address(dial("sip:a@h", offer="v=0"), domain=None)
    with pytest.raises(Unsupported):
        encode.address(dial("sip:a@h", modalities=frozenset({Modality.VIDEO})), domain=None)


def test_native_words_are_refused() -> None:
    with pytest.raises(Refused):
        encode.address(dial("sip:a@h", native={"Header": "x"}), domain=None)
    with pytest.raises(Refused):
        encode.reference(HangUp(id="1", call="1", ref="c421", native={"scode": 603}))


def test_the_caller_is_an_account() -> None:
    assert encode.caller(dial("sip:a@h")) is None
    assert encode.caller(dial("sip:a@h", caller_id="sip:me@h")) == "sip:me@h"
    with pytest.raises(Refused, match="accounts"):
        encode.caller(dial("sip:a@h", caller_id="+1555"))


def test_a_call_without_a_name_cannot_be_told_anything_yet() -> None:
    assert encode.reference(HangUp(id="1", call="1", ref="c421")) == "c421"
    with pytest.raises(TooLate):
        encode.reference(HangUp(id="1", call="1"))


def test_digits_go_in_portions_and_w_is_a_pause() -> None:
    assert encode.digits(SendDigits(id="1", call="1", digits="12#w*a")) == ("12#", None, "*A")
    assert encode.digits(SendDigits(id="1", call="1", digits="ww1")) == (None, None, "1")
    assert encode.digits(SendDigits(id="1", call="1", digits="1" * 40)) == ("1" * 32, "1" * 8)


@pytest.mark.parametrize("digits", ["", "12x", "1 2", "E", "\u0661"])
def test_what_is_no_digit_is_refused(digits: str) -> None:
    with pytest.raises(Refused):
        encode.digits(SendDigits(id="1", call="1", digits=digits))
