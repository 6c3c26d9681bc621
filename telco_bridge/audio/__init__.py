"""The audio of a call: how it is written as bytes, what an application hears, and what it plays."""

from .formats import ALAW_8K, MULAW_8K, PCM16_8K, PCM16_16K, PCM16_24K, AudioFormat, Encoding
from .frames import AudioFrame, AudioItem, AudioStats, Digit, Overflow, PlaybackProgress
from .playback import Heard, HeardBy, Playback, PlaybackState, Sound
from .wav import UnreadableWav
from .wire import Track

__all__ = [
    "ALAW_8K",
    "MULAW_8K",
    "PCM16_8K",
    "PCM16_16K",
    "PCM16_24K",
    "AudioFormat",
    "AudioFrame",
    "AudioItem",
    "AudioStats",
    "Digit",
    "Encoding",
    "Heard",
    "HeardBy",
    "Overflow",
    "Playback",
    "PlaybackProgress",
    "PlaybackState",
    "Sound",
    "Track",
    "UnreadableWav",
]
