"""Requests, without a network."""

from __future__ import annotations

import pytest

from telco_bridge.provider import Dial, HangUp, Modality, Refused, Unsupported
from telco_bridge_acme import encode
from telco_bridge_acme.config import AcmeConfig

CONFIG = AcmeConfig.model_validate({"base_url": "https://api.acme.example", "key": "k", "caller_id": "+15550100001"})


def test_a_dial_carries_its_token_and_the_callers_number() -> None:
    request = encode.dial(Dial(id="t", call="t", to="+15550100", native={"ring_timeout": 30}), CONFIG)

    assert (request.method, request.path) == ("POST", "/calls")
    assert request.body == {"to": "+15550100", "token": "t", "from": "+15550100001", "ring_timeout": 30}


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(Unsupported):
        encode.dial(Dial(id="t", call="t", to="+15550100", modalities=frozenset({Modality.VIDEO})), CONFIG)
    with pytest.raises(Refused, match="token"):
        encode.dial(Dial(id="t", call="t", to="+15550100", native={"token": "mine"}), CONFIG)
    with pytest.raises(Refused, match="no name"):
        encode.hang_up(HangUp(id="h", call="t"))


def test_a_name_stays_in_its_place_in_the_path() -> None:
    assert encode.read("../events?x").path == "/calls/%2E%2E%2Fevents%3Fx"
