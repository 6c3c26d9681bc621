from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from telco_bridge.provider import (
    CONTRACT,
    CallDirection,
    CallState,
    CallView,
    Capability,
    MediaDirection,
    StreamId,
    StreamState,
    StreamView,
    Termination,
)
from telco_bridge_signalwire.config import SignalWireConfig
from telco_bridge_signalwire.plugin import telco_bridge_provider
from telco_bridge_signalwire.support import possible

SETTINGS = {"project": "P", "token": "PT-secret-token", "space": "example.signalwire.com"}


def made(**changes):
    return SignalWireConfig.model_validate({**SETTINGS, **changes})


def test_the_hook_gives_the_whole_plugin():
    plugin = telco_bridge_provider()

    assert (plugin.name, plugin.contract, plugin.config_model) == ("signalwire", CONTRACT, SignalWireConfig)
    assert set(plugin.support) == set(Capability)
    assert plugin.reasons


COPIES = {Capability.HANG_UP, Capability.START_AUDIO, Capability.STOP_AUDIO, Capability.RECEIVE_AUDIO}
RECORDED = {Capability.RECORD, Capability.PAUSE_RECORDING}
DOCUMENTED = {Capability.SEND_AUDIO, Capability.SAY, Capability.PLAY, Capability.SEND_DIGITS, Capability.TRANSFER}


def test_the_calls_state_decides_what_is_possible():
    assert possible(CallView(id="c", state=CallState.CONNECTED)) == COPIES | RECORDED | DOCUMENTED
    for state in (CallState.UNKNOWN, CallState.QUEUED, CallState.DIALING, CallState.RINGING, CallState.ENDING):
        assert possible(CallView(id="c", state=state)) == {Capability.HANG_UP}
    assert possible(CallView(id="c", state=CallState.ENDED)) == set()
    assert possible(CallView(id="c", state=CallState.CONNECTED, termination=Termination())) == set()


def test_a_call_that_rings_here_can_be_decided():
    view = CallView(id="c", state=CallState.RINGING, direction=CallDirection.INBOUND)

    assert possible(view) == {Capability.HANG_UP, Capability.ANSWER, Capability.REJECT, Capability.REDIRECT}


def test_a_call_is_held_where_that_was_asked_for_and_then_only_taken_back():
    offered = frozenset({"hold"})
    connected = CallView(id="c", state=CallState.CONNECTED, offered=offered)

    assert possible(connected) == COPIES | RECORDED | DOCUMENTED | {Capability.HOLD}
    # Whatever else it did would end the conference in which it waits.
    assert possible(replace(connected, held=True)) == COPIES | RECORDED | {Capability.RESUME}


@pytest.mark.parametrize(
    ("direction", "state", "another"),
    [
        (MediaDirection.BOTH, StreamState.ACTIVE, False),
        (MediaDirection.BOTH, StreamState.ENDED, True),
        (MediaDirection.RECEIVE, StreamState.ACTIVE, True),
    ],
)
def test_a_call_is_connected_both_ways_once_at_a_time(direction, state, another):
    stream = StreamView(id=StreamId("s", 1), direction=direction, state=state)
    view = CallView(id="c", state=CallState.CONNECTED, streams=(stream,))

    assert (Capability.SEND_AUDIO in possible(view)) is another
    assert Capability.RECEIVE_AUDIO in possible(view)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://example.signalwire.com/api/laml/2010-04-01"),
        ({"space": None, "base_url": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000/api/laml/2010-04-01"),
        ({"space": None, "base_url": "http://[::1]:8000/"}, "http://[::1]:8000/api/laml/2010-04-01"),
        ({"space": None, "base_url": "http://localhost:8000/2010-04-01/"}, "http://localhost:8000/2010-04-01"),
        ({"space": None, "base_url": "https://proxy.example/sw"}, "https://proxy.example/sw"),
    ],
)
def test_the_address_of_the_api(changes, url):
    assert made(**changes).api_url == url


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": None}, "give one of space"),
        ({"base_url": "https://a.example"}, "give one of space"),
        ({"space": "https://example.signalwire.com"}, "host name such as example.signalwire.com"),
        ({"space": "example"}, "host name such as example.signalwire.com"),
        ({"space": None, "base_url": "http://a.example"}, "must be https"),
        ({"space": None, "base_url": "http://10.0.0.1"}, "must be https"),
        ({"space": None, "base_url": "a.example/api"}, "absolute https"),
        ({"space": None, "base_url": "https://a.example:99999"}, "absolute https"),
        ({"space": None, "base_url": "https://p:t@a.example"}, "no credentials"),
        ({"space": None, "base_url": "https://a.example?x=1"}, "no credentials, query"),
        ({"project": "P:T"}, "neither colons nor spaces"),
        ({"project": ""}, "project"),
        ({"token": ""}, "token"),
        ({"signing_key": ""}, "signing_key"),
        ({"previous_signing_key": "old"}, "without signing_key"),
        ({"caller_id": "5550100"}, r"E\.164"),
        ({"stream_url": "ws://a.example"}, "stream_url must be wss://"),
        ({"stream_url": "wss://a.example?x=1"}, "stream_url has a query"),
        ({"document_url": "/document"}, "absolute http"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"timeout": float("inf")}, "timeout"),
        ({"tokn": "PT-other-secret"}, "tokn"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy_and_without_secrets(changes, message):
    with pytest.raises(ValidationError, match=message) as wrong:
        made(**changes)

    assert "secret" not in str(wrong.value)


def test_keys_are_tried_with_the_present_one_first():
    assert made().signing_keys == ()
    assert made(signing_key="new").signing_keys == ("new",)
    assert made(signing_key="new", previous_signing_key="old").signing_keys == ("new", "old")


def test_settings_do_not_show_their_secrets_and_cannot_change():
    config = made(signing_key="PSK-secret", stream_url="wss://a.example/in", document_url="https://a.example/d")

    assert "secret" not in repr(config)
    with pytest.raises(ValidationError):
        config.project = "other"
