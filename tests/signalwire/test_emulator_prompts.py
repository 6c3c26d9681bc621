"""Play: sounds that are really fetched and really heard, and keys that are pressed at the far end."""

from __future__ import annotations

import io
import wave

import pytest
from twilio.twiml.voice_response import Gather, VoiceResponse

from telco_bridge.sandbox.voices import Tone
from telco_bridge.serving import Server

from ..sounds import strength

RATE = 8000


def wav(seconds: float, frequency: int = 440) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(Tone(frequency).pcm(0, int(RATE * seconds), RATE))
    return file.getvalue()


class Shelf:
    """A web server of sounds."""

    def __init__(self) -> None:
        self.url = ""
        self.sounds: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.asked.append((scope["method"], scope["path"]))
        sound = self.sounds.get(scope["path"])
        status = 404 if sound is None else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"audio/wav")]})
        await send({"type": "http.response.body", "body": sound or b""})


@pytest.fixture
def shelf():
    served = Shelf()
    with Server(served) as server:
        served.url = server.url
        yield served


def playing(rest, application, *sounds: str, **options) -> None:
    """Dial with a document that plays the sounds and then asks `/voice/next`."""
    response = VoiceResponse()
    for sound in sounds:
        response.play(sound, **options)
    response.redirect("/voice/next")
    application.documents["/voice"] = str(response)
    rest.dial()


def far_leg(network):
    (leg,) = network.legs.values()
    return leg


def test_the_far_end_hears_it_as_often_as_is_wanted(rest, application, network, shelf):
    shelf.sounds["/hello.wav"] = wav(0.2)
    playing(rest, application, f"{shelf.url}/hello.wav", loop=2)
    application.wait("/voice/next")

    ear = far_leg(network).ear
    assert ear.seconds == pytest.approx(0.4, abs=0.001)
    assert strength(ear.pcm(rate=RATE), RATE, 440) > 0.99
    assert shelf.asked == [("GET", "/hello.wav")]


def test_an_endless_one_ends_with_the_call(rest, application, network, shelf):
    shelf.sounds["/hello.wav"] = wav(0.05)
    playing(rest, application, f"{shelf.url}/hello.wav", loop=0)
    application.wait("/status", "in-progress")
    leg = far_leg(network)
    assert leg.ear.wait_for(0.2)
    leg.hang_up(by=leg.far)

    application.wait("/status", "completed")
    assert application.to("/voice/next") == []


def test_a_key_interrupts_it(rest, application, network, shelf):
    shelf.sounds["/long.wav"] = wav(30.0)
    response = VoiceResponse()
    gather = Gather(action="/voice/keys", num_digits=1)
    gather.play(f"{shelf.url}/long.wav")
    response.append(gather)
    application.documents["/voice"] = str(response)
    rest.dial()
    application.wait("/status", "in-progress")
    leg = far_leg(network)
    assert leg.ear.wait_for(0.1)
    leg.press("7", by=leg.far)

    assert application.wait("/voice/keys").fields["Digits"] == "7"
    assert leg.ear.seconds < 10


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        ("/missing.wav", "11200"),
        ("/noise.mp3", "13420"),
        ("rtmp://media.example.net/live", "11200"),
        ("http://127.0.0.1:9/x.wav", "11200"),
    ],
)
def test_what_cannot_be_played_is_skipped(rest, application, network, shelf, sound, code):
    shelf.sounds["/noise.mp3"] = b"ID3 and so on"
    playing(rest, application, f"{shelf.url}{sound}" if sound.startswith("/") else sound)
    application.wait("/voice/next")

    assert far_leg(network).ear.seconds == 0
    assert rest.emulator.wire.records(containing=f"dashboard {code}")


def test_an_empty_sound_and_no_keys_take_a_moment(rest, application, network, shelf):
    shelf.sounds["/empty.wav"] = wav(0.0)
    playing(rest, application, f"{shelf.url}/empty.wav", loop=3)
    application.wait("/voice/next")
    application.documents["/voice/next"] = (
        '<Response><Play digits="" loop="3"/><Redirect>/voice/last</Redirect></Response>'
    )
    rest.dial(Url=f"{application.url}/voice/next")

    application.wait("/voice/last")


def test_keys_are_pressed_with_their_pauses(rest, application, network):
    before = network.now()
    playing(rest, application, "", digits="1wW#")
    application.wait("/voice/next")

    leg = far_leg(network)
    assert [key for side, key in leg.digits if side is leg.ours] == ["1", "#"]
    assert network.now() - before > 1.5 + 1.2


def test_a_sound_is_played_to_whoever_waits_for_a_conference(rest, application, network, shelf):
    shelf.sounds["/music.wav"] = wav(0.1)
    response = VoiceResponse()
    response.dial().conference("Room", wait_url=f"{shelf.url}/music.wav")
    application.documents["/voice"] = str(response)
    rest.dial()
    application.wait("/status", "in-progress")

    # Once it has ended it is fetched again.
    assert far_leg(network).ear.wait_for(0.2)
    assert len(shelf.asked) >= 2
