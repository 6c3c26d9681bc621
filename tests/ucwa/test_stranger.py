"""What somebody meets who has read the documentation alone: what is wrong is refused in plain words, unsent."""

from __future__ import annotations

import pytest

from telco_bridge import Unsupported, config, connect
from telco_bridge.errors import ConfigError
from telco_bridge.provider import (
    Answer,
    Dial,
    HangUp,
    Modality,
    NotSent,
    Refused,
    Reject,
    StartMedia,
    StopMedia,
    TerminationReason,
)
from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator import UcwaEmulator
from telco_bridge_ucwa.encode import encode
from telco_bridge_ucwa.native import UcwaApplication
from telco_bridge_ucwa.resources import Resources

NORMAL = TerminationReason.NORMAL
WHO = {"username": "ada@example.org", "password": "s3cret-and-more"}
TOKENS = {"username": "ada@example.org"}


@pytest.fixture
def anyio_backend():
    """One is enough: nothing here depends on the loop."""
    return "asyncio"


def complaint(settings):
    with pytest.raises(ConfigError) as caught:
        config.validate(UcwaConfig, settings, "profiles.skype.", "telco.toml")
    told = str(caught.value)
    assert "s3cret" not in told
    return told


@pytest.mark.parametrize("source", ["/usr/local/bin/skype-token --quiet", 5, ["skype-token", 5], {"program": "x"}])
def test_a_token_source_that_is_no_list_of_words_is_told_how_to_be_one(source):
    assert complaint(TOKENS | {"token_source": source}) == (
        "telco.toml: profiles.skype.token_source: write a command as the list of its words, the program first: "
        '["/usr/local/bin/skype-token", "--quiet"]'
    )


@pytest.mark.parametrize("host", ["*.example.net", "https://pool.example.net/ucwa", "pool one", "a:b", "pool?x=s3cret"])
def test_an_allowed_host_that_would_allow_nothing_is_refused(host):
    told = complaint(WHO | {"allowed_hosts": ["pool1.example.net", host]})

    assert told.startswith("telco.toml: profiles.skype.allowed_hosts: ")
    assert told.endswith("write pool1.example.net, pool1.example.net:4443 or https://pool1.example.net:4443")


@pytest.mark.parametrize("host", ["pool1", "10.0.0.1:4443", "[::1]:8080", "https://pool1.example.net/", "LOCALHOST:1"])
def test_an_allowed_host_may_be_any_name(host):
    assert config.validate(UcwaConfig, WHO | {"allowed_hosts": [host]}, "", "").allowed_hosts == (host,)


def test_what_must_be_a_list_and_is_none_is_told_so():
    told = complaint(WHO | {"allowed_hosts": "pool1.example.net", "supported_modalities": []})

    assert (
        told == "telco.toml: profiles.skype.supported_modalities: is empty; profiles.skype.allowed_hosts: write a list"
    )


def test_an_empty_password_is_told_to_be_empty():
    assert complaint(WHO | {"password": ""}) == "telco.toml: profiles.skype.password: is empty"


@pytest.mark.parametrize(
    ("command", "takes"),
    [
        (HangUp(id="u", call="k", ref="/c", reason=NORMAL, native={"Reason": "Cancel"}), "reason"),
        (
            StopMedia(id="s", call="k", ref="/c", streams=(), reason=NORMAL, native={"Reason": "Cancel"}),
            "reason, reason_in",
        ),
        (Reject(id="r", call="k", ref="/c", reason=NORMAL, native={"Reason": "Local"}), "reason"),
        (Answer(id="a", call="k", ref="/c", native={"Reason": "Local"}), "nothing"),
    ],
)
def test_native_words_that_a_command_does_not_take_are_refused(command, takes):
    with pytest.raises(
        Refused, match=f"{command.name} takes no 'Reason' as native; it takes {takes}. Nothing was sent"
    ):
        encode(command, Resources("https://pool.example.org/apps"))


@pytest.mark.parametrize("sdp", ["", "v=0\ud800"])
@pytest.mark.parametrize(
    "command",
    [
        lambda sdp: Dial(id="d", call="k", to="sip:bob@example.org", modalities=frozenset({Modality.AUDIO}), offer=sdp),
        lambda sdp: StartMedia(id="m", call="k", ref="/c", modality=Modality.VIDEO, offer=sdp),
        lambda sdp: Answer(id="a", call="k", ref="/c", sdp=sdp),
    ],
    ids=["dial", "start", "answer"],
)
def test_a_description_that_cannot_be_sent_is_refused(command, sdp):
    with pytest.raises(Refused, match=r"(offer|sdp) (must be a text|holds a character).* Nothing was sent"):
        encode(command(sdp), Resources("https://pool.example.org/apps"))


def test_a_word_that_cannot_be_sent_is_refused():
    words = {"subject": "\ud800"}
    command = Dial(id="d", call="k", to="+15550100", modalities=frozenset({Modality.AUDIO}), native=words)

    with pytest.raises(Refused, match="subject holds a character that cannot be sent"):
        encode(command, Resources("https://pool.example.org/apps"))


async def test_what_is_asked_in_vain_leaves_the_call_as_it_is():
    with Exchange(speed=20.0) as exchange:
        emulator = UcwaEmulator(exchange)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            profile = emulator.profile()
            with pytest.raises(Refused, match=r"GET user \(http.*/nowhere\).*404"):
                async with connect(profile | {"user_url": f"{emulator.url}/nowhere"}):
                    raise AssertionError("signed in nowhere")
            async with connect(profile) as bridge:
                call = await (await bridge.dial("+15550100")).answered()
                conversation = bridge.native(UcwaApplication).conversation(call)
                before = len(emulator.wire.records())
                with pytest.raises(ValueError, match="'bored' is no reason"):
                    await call.hangup(reason="bored")
                with pytest.raises(Unsupported, match="cannot be copied"):
                    await call.start(Modality.AUDIO, to="wss://example.org/copy")
                asked = [record for record in emulator.wire.records()[before:] if not record.line.startswith("GET")]
                assert (asked, len(call.view.live_streams)) == ([], 1)
        with pytest.raises(NotSent, match="closed"):
            await conversation.refresh()
