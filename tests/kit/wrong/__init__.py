"""Providers that are wrong: a few lines each, on top of one that is right."""

from . import abilities, audio, calls, inbound, reasons, secrecy, services, streams, trouble, truth
from .clumsy import CLUMSY, Clumsy
from .table import TABLE as WRONG
from .table import Wrong

__all__ = [
    "CLUMSY",
    "WRONG",
    "Clumsy",
    "Wrong",
    "abilities",
    "audio",
    "calls",
    "inbound",
    "reasons",
    "secrecy",
    "services",
    "streams",
    "trouble",
    "truth",
]
