"""What is heard: the tone, silence, hold, and keys, measured where they arrive."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import anyio
import pytest
from telco_bridge import CallState, DigitReceived, TerminationReason, connect
from telco_bridge.provider import EndedBy

from . import rtp
from .network import LegState, SipNetwork
from .talk import hears_silence, hears_tone, pressed, talk

R = TerminationReason
Settings = dict[str, object]


def _recording(path: Path, frequency: float, seconds: float) -> Path:
    packets = [packet for packet in map(rtp.read, rtp.Sender(1).speak(frequency, seconds)) if packet is not None]
    heard = rtp.samples(packets)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rtp.RATE)
        file.writeframes(struct.pack(f"<{len(heard)}h", *heard))
    return path


@pytest.mark.parametrize("frequency", [440, 1000])
async def test_the_far_end_hears_the_tone_that_is_played_and_no_other(
    network: SipNetwork, settings: Settings, frequency: int
) -> None:
    async with connect({**settings, "audio_source": f"ausine,{frequency}"}) as bridge:
        _, leg = await talk(bridge, network)
        await hears_tone(network, leg, frequency)

        assert rtp.share(leg.samples()[-2000:], 1440 - frequency) < 0.05


async def test_the_far_end_hears_a_recording_and_its_end_is_the_end_of_the_call(
    network: SipNetwork, settings: Settings, tmp_path: Path
) -> None:
    recording = _recording(tmp_path / "hello.wav", 700, 1.0)
    async with connect({**settings, "audio_source": f"aufile,{recording}"}) as bridge:
        call, leg = await talk(bridge, network)
        await hears_tone(network, leg, 700)
        told = await call.ended()

        assert (told.reason, told.by) == (R.MEDIA_LOST, EndedBy.PROVIDER)
        await network.until(lambda: leg.state is LegState.OVER)


async def test_a_muted_far_end_hears_silence_until_it_is_unmuted(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        await hears_tone(network, leg)
        await call.mute()
        assert call.muted
        await hears_silence(network, leg)
        await call.unmute()
        assert not call.muted
        await hears_tone(network, leg)

        assert leg.requests == ["INVITE"], "muting is nobody else's business"


async def test_muting_one_call_leaves_the_other_one_audible(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        first, first_leg = await talk(bridge, network)
        second, second_leg = await talk(bridge, network)
        await first.mute()

        await hears_silence(network, first_leg)
        await hears_tone(network, second_leg)
        assert second.muted is not True


async def test_hold_and_resume_are_told_to_the_far_end(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        assert leg.ways == ["sendrecv"]
        await call.hold()
        assert call.held
        await network.until(lambda: len(leg.ways) == 2)
        assert leg.ways[-1] in ("sendonly", "inactive")
        await call.resume()
        assert call.held is False
        await network.until(lambda: len(leg.ways) == 3)

        assert leg.ways[-1] == "sendrecv"
        await hears_tone(network, leg)
        assert leg.requests == ["INVITE"] * 3


async def test_holding_one_call_leaves_the_other_one_alone(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        first, first_leg = await talk(bridge, network)
        second, second_leg = await talk(bridge, network)
        await first.hold()
        await network.until(lambda: len(first_leg.ways) == 2)

        assert second.held is not True
        assert second_leg.ways == ["sendrecv"]
        await hears_tone(network, second_leg)


async def test_a_held_call_is_still_held_after_another_one_has_ended(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        held, held_leg = await talk(bridge, network)
        other, _ = await talk(bridge, network)
        await held.hold()
        await network.until(lambda: len(held_leg.ways) == 2)
        await other.hangup()
        # By itself, baresip would have taken it back.
        await network.until(lambda: len(held_leg.ways) == 4)

        assert held_leg.ways == ["sendrecv", "sendonly", "sendrecv", "sendonly"]
        assert held.held
        assert held.state is CallState.CONNECTED


async def test_keys_are_heard_by_the_far_end_once_and_in_order(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        await call.send_digits("11w*")
        await call.send_digits("0#")

        assert await pressed(network, leg) == "11*0#"


async def test_keys_go_to_the_call_that_is_meant(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        first, first_leg = await talk(bridge, network)
        second, second_leg = await talk(bridge, network)
        await first.send_digits("1")
        await second.send_digits("2")

        assert await pressed(network, first_leg) == "1"
        assert await pressed(network, second_leg) == "2"


async def test_keys_of_the_far_end_are_told_once_and_in_order(network: SipNetwork, settings: Settings) -> None:
    async with connect(settings) as bridge:
        call, leg = await talk(bridge, network)
        await network.press(leg, "7*7#")
        heard = ""
        async for event in call.events():
            if isinstance(event, DigitReceived):
                heard += event.digit
                if event.digit == "#":
                    break

        assert heard == "7*7#"


async def test_what_the_far_end_says_reaches_the_player(network: SipNetwork, settings: Settings) -> None:
    # What is played there is what is sent back.
    async with connect({**settings, "audio_source": "aubridge,loop", "audio_player": "aubridge,loop"}) as bridge:
        _, leg = await talk(bridge, network)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(network.speak, leg, 1200, 2.0)
            await hears_tone(network, leg, 1200)
