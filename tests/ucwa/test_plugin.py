"""The door of the UCWA provider: its settings, its support table, its handshake."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from telco_bridge.provider import (
    CallState,
    CallView,
    Capability,
    Modality,
    ProviderPlugin,
    StreamId,
    StreamState,
    StreamView,
    Transport,
)
from telco_bridge.sandbox import Exchange
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.plugin import telco_bridge_provider
from telco_bridge_ucwa.support import possible, together

WHO = {"username": "ada@example.org", "password": "s3cret"}
URL = "https://pool.example.org/apps"


def test_the_plugin_is_one_value():
    plugin = telco_bridge_provider()

    assert isinstance(plugin, ProviderPlugin)
    assert (plugin.name, plugin.config_model) == ("ucwa", UcwaConfig)
    assert plugin.reasons


def test_the_emulator_is_built_on_the_exchange_it_is_given():
    exchange = Exchange()
    plugin = telco_bridge_provider()

    assert plugin.emulator is not None
    assert plugin.emulator(exchange).exchange is exchange


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"username": "ada"}, "set domain"),
        ({"username": "ada@com"}, "set domain"),
        ({"token_source": ["vault"]}, "exactly one of password"),
        ({"password": None}, "exactly one of password"),
        ({"password": None, "token_source": []}, "words of a command"),
        ({"password": None, "conference_key": "s3cret"}, "together"),
        ({"username": None, "user_url": URL}, "the username"),
        ({"domain": "https://example.org"}, "a SIP domain"),
        ({"domain": "10.0.0.1"}, "a SIP domain"),
        ({"user_url": URL, "application_url": URL}, "exactly one"),
        ({"user_url": "http://pool.example.org/user"}, "https"),
        ({"user_url": "ftp://pool.example.org/user"}, "no http"),
        ({"user_url": "https://"}, "no http"),
        ({"user_url": "https://ada:s3cret@pool.example.org/"}, "credentials"),
        ({"user_url": URL, "allowed_hosts": ["http://other.example.org"]}, "https"),
        ({"user_url": URL, "poll_timeout": 10}, "180"),
        ({"user_url": URL, "colour": "blue"}, "colour"),
        ({"user_url": URL, "username": ""}, "username"),
        ({"user_url": URL, "password": ""}, "password"),
        ({"user_url": "htps://ada:s3cret@pool.example.org/"}, "credentials"),
        ({"user_url": "ada:s3cret@pool.example.org/"}, "'pool.example.org/' is no http"),
        ({"user_url": "https://ada:s3cret?@pool.example.org/"}, "no http"),
        ({"user_url": "https://[s3cret@pool.example.org/"}, "no http"),
        ({"user_url": URL, "allowed_hosts": ["ada:s3cret@pool.example.org"]}, "credentials"),
    ],
)
def test_wrong_settings_are_refused_with_their_reason(settings, words):
    with pytest.raises(ValidationError, match=words) as caught:
        UcwaConfig.model_validate(WHO | settings)
    assert "SecretStr" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_every_setting_is_described():
    assert [name for name, field in UcwaConfig.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("url", ["http://localhost:8080/user", "http://127.0.0.1:1/u", "http://[::1]:1/u", URL])
def test_clear_text_is_for_this_machine_only(url):
    assert UcwaConfig.model_validate(WHO | {"user_url": url}).entry == url


@pytest.mark.parametrize(
    ("entry", "host", "origin"),
    [
        (URL, "pool2.example.org", "https://pool2.example.org"),
        (URL, "pool2.example.org:8443", "https://pool2.example.org:8443"),
        (URL, "https://pool2.example.org", "https://pool2.example.org"),
        ("http://localhost:1/", "127.0.0.1:2", "http://127.0.0.1:2"),
    ],
)
def test_allowed_hosts_are_written_as_people_write_them(entry, host, origin):
    config = UcwaConfig.model_validate(WHO | {"application_url": entry, "allowed_hosts": [host]})

    assert config.origins == (entry, origin)


def test_an_allowed_host_without_a_name_is_refused():
    with pytest.raises(ValidationError, match="no http"):
        UcwaConfig.model_validate(WHO | {"application_url": URL, "allowed_hosts": [""]})


def view(*offered, live=()):
    streams = tuple(
        StreamView(
            id=StreamId(slot, 1),
            state=StreamState.ACTIVE,
            modality=Modality.VIDEO if slot == "video" else Modality.AUDIO,
            transport=Transport.PSTN if slot == "phoneAudio" else Transport.VOIP,
        )
        for slot in live
    )
    return CallView(id="c", state=CallState.CONNECTED, offered=frozenset(offered), streams=streams)


@pytest.mark.parametrize(
    ("call", "able"),
    [
        (view(), set()),
        (view("stopPhoneAudio", "holdPhoneAudio"), {Capability.STOP_AUDIO, Capability.HOLD}),
        (view("resumePhoneAudio"), {Capability.RESUME}),
        (view("addPhoneAudio"), {Capability.START_AUDIO}),
        (view("addMessaging"), {Capability.START_MESSAGING}),
        (view("stopMessaging", "sendMessage"), {Capability.STOP_MESSAGING}),
        (view("addAudio", "addVideo"), {Capability.START_AUDIO, Capability.START_VIDEO}),
        (view("stopAudio", live=["audio"]), {Capability.STOP_AUDIO, Capability.STOP_REASON}),
        (view("stopVideo", live=["video"]), {Capability.STOP_VIDEO, Capability.STOP_REASON}),
        (view("stopAudioVideo", live=["audio"]), {Capability.STOP_AUDIO, Capability.STOP_REASON}),
        (view("stopAudioVideo", live=["audio", "video"]), {Capability.STOP_REASON}),
        (view("stopAudioVideo", live=["phoneAudio", "video"]), {Capability.STOP_VIDEO, Capability.STOP_REASON}),
        (view("decline"), {Capability.REJECT}),
        (view("muteAudio"), {Capability.MUTE}),
        (view("unmuteAudio"), {Capability.UNMUTE}),
    ],
)
def test_a_link_is_a_permission(call, able):
    assert possible(call) == able | {Capability.HANG_UP}


def test_a_server_may_let_both_media_go_and_neither_alone():
    both = frozenset({Capability.STOP_AUDIO, Capability.STOP_VIDEO})

    assert together(view("stopAudioVideo", live=["audio", "video"])) == (both,)
    assert together(view("stopAudio", live=["audio"])) == ()
    assert together(CallView(id="c", state=CallState.ENDED, offered=frozenset({"stopAudioVideo"}))) == ()


def test_nothing_is_possible_after_the_end():
    assert possible(CallView(id="c", state=CallState.ENDED, offered=frozenset({"addAudio"}))) == frozenset()
