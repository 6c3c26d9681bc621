"""Call somebody, beep so that they know, and record what is said: they on the left, what they hear on the right.

python examples/record.py               # on the simulator: no account, and nobody is called
python examples/record.py signalwire    # the same lines on a phone system of telco.toml
"""

import math
import sys
from array import array
from pathlib import Path

import anyio

from telco_bridge import Bridge, Capability, connect
from telco_bridge.audio import Sound

PATH = "call.wav"
BEEP = array("h", (round(8000 * math.sin(math.pi / 4 * n)) for n in range(4000))).tobytes()
"""Half a second of 1000 Hz as PCM16 at 8000 Hz, which is the audio's format where no other is asked for."""


async def record(
    bridge: Bridge,
    to: str = "+15550106",
    *,
    path: str | Path = PATH,
    prompt: Sound = BEEP,  # or the path of a WAV file: "you-are-being-recorded.wav"
    seconds: float = 2.0,
) -> float:
    print("dial", to)
    async with await bridge.dial(to) as call:
        await call.answered()
        # Whenever this process dies, the file can be played, up to the last tenth of a second.
        async with call.record_to(path) as recording:
            if call.can(Capability.SEND_AUDIO):  # not every provider lets an application speak
                async with call.audio(direction="both") as audio:
                    heard = await audio.play(prompt).finished()
                print(f"they heard {heard.milliseconds:.0f} ms of the prompt, by the {heard.by}")
            with anyio.move_on_after(seconds):
                await recording.ended()  # they hung up
    print(f"{recording.seconds:.1f} s are in {path}, {recording.stats.gaps} frames are missing")
    return recording.seconds


async def main(profile: str | None = None) -> None:
    async with connect(Path(__file__).with_name("telco.toml"), profile=profile) as bridge:
        await record(bridge)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
