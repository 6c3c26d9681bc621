"""Dial, stop the audio, look what is left, start it again, hang up, and say why the call ended.

    python examples/stop_audio.py simulator

The same lines run on every phone system; which one is a line of telco.toml.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from telco_bridge import Bridge, Capability, Modality, Termination, TerminationReason, connect


async def stop_audio(bridge: Bridge, to: str = "+15550100", say: Callable[[str], None] = print) -> Termination:
    say(f"dial {to}")
    async with await bridge.dial(to) as call:
        await call.answered()
        stream = await call.start(Modality.AUDIO)
        say(f"{stream.modality} flows over {stream.transport}")

        await call.stop(Modality.AUDIO, reason=TerminationReason.NORMAL, note="enough heard")
        say(f"{stream.modality} {stream.state}, call {call.state}")

        with anyio.move_on_after(1):  # some providers end a call that has no media left
            await call.ended()
        if call.can(Capability.START_AUDIO):
            again = await call.start(Modality.AUDIO)
            say(f"{again.modality} flows again")

        await call.hangup(note="that was all")
        why = await call.ended()
        say(f"{why.reason} by {why.by} ({why.confidence})")
        return why


async def main(profile: str | None = None) -> None:
    async with connect(Path(__file__).with_name("telco.toml"), profile=profile) as bridge:
        await stop_audio(bridge)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
