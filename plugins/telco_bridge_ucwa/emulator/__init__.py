"""The UCWA protocol of Skype for Business, served on this machine in front of a simulated phone network."""

from .app import UcwaEmulator

__all__ = ["UcwaEmulator"]
