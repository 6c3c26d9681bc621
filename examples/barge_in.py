"""Talk to somebody who may interrupt: the prompt is cut off as soon as they speak, or press a key.

python examples/barge_in.py               # on the simulator, where they speak up after a second and a half
python examples/barge_in.py signalwire    # the same lines on a phone system of telco.toml
"""

import math
import sys
from array import array
from pathlib import Path

import anyio

from telco_bridge import Bridge, connect
from telco_bridge.audio import AudioFrame, Digit, Heard, Sound
from telco_bridge.sandbox import Exchange, Spoken


def tone(hertz: int, seconds: float) -> bytes:
    """PCM16 at 8000 Hz, which is the audio's format where no other is asked for."""
    step = 2 * math.pi * hertz / 8000
    return array("h", (round(8000 * math.sin(step * n)) for n in range(round(8000 * seconds)))).tobytes()


PROMPT, GOODBYE = tone(600, 10), tone(900, 0.5)
LOUD = 1000  # of 32767: speech is louder, the noise of a line is not


def is_loud(frame: AudioFrame) -> bool:
    samples = array("h", frame.data)
    return math.hypot(*samples) > LOUD * math.sqrt(len(samples))


async def barge_in(bridge: Bridge, to: str = "+15550106", *, prompt: Sound = PROMPT, goodbye: Sound = GOODBYE) -> Heard:
    async with await bridge.dial(to) as call:
        await call.answered()
        async with call.audio(direction="both") as audio:
            playback = audio.play(prompt)  # returns at once: we listen while it is played. The path of a WAV would do
            async for item in audio:
                if isinstance(item, Digit):
                    print("they pressed", item.digit)
                elif isinstance(item, AudioFrame) and is_loud(item):
                    print(f"they spoke, {item.timestamp} ms after the audio began")
                elif not playback.over:
                    continue
                break
            audio.clear()
            heard = await playback.finished()
            print(f"they heard {heard.milliseconds:.0f} ms of the prompt")
            await call.hangup(after=audio.play(goodbye))  # and not before they have heard the last of it
    return heard


async def main(profile: str | None = None) -> None:
    # In this simulated network they are silent for a second and a half, and then have something to say.
    with Exchange(voice=Spoken(bytes(24_000) + tone(440, 5), rate=8000)) as exchange:
        simulator = {"provider": "simulator", "exchange": exchange}
        telco = Path(__file__).with_name("telco.toml")
        async with connect(telco, profile=profile) if profile else connect(simulator) as bridge:
            await barge_in(bridge)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
