"""Call somebody, and say back whatever they say, half a second later.

python examples/echo.py               # on the simulator: no account, and nobody is called
python examples/echo.py signalwire    # the same lines on a phone system of telco.toml
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from telco_bridge import Bridge, connect
from telco_bridge.audio import AudioFrame, AudioStats


async def echo(bridge: Bridge, to: str = "+15550106", *, seconds: float = 3.0) -> AudioStats:
    print("dial", to)
    async with await bridge.dial(to) as call:
        await call.answered()
        async with call.audio(direction="both") as audio:
            print("audio flows both ways,", audio.wire_format, "on the wire")

            async def delayed() -> AsyncIterator[bytes]:
                # Silence first: everything behind it is heard half a second after it was said.
                yield audio.format.silence(500)
                async for item in audio:  # keys that are pressed come in between, and are not for us
                    if isinstance(item, AudioFrame):
                        yield item.data

            playback = audio.play(delayed())
            with anyio.move_on_after(seconds):  # or until they hang up, which ends the audio
                await playback.finished()
            stats = audio.stats
            print(f"{stats.frames} frames heard, {stats.gaps} missing; {stats.sent} sent, the silence included")
        # Leaving the audio stops its stream and nothing else; leaving the call hangs up.
    print("the call ended:", (await call.ended()).reason)
    return stats


async def main(profile: str | None = None) -> None:
    async with connect(Path(__file__).with_name("telco.toml"), profile=profile) as bridge:
        await echo(bridge)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
