"""A small imaginary carrier, for tutorials and for plugins that have no emulator of their own yet."""

from .carrier import ToyCarrier

__all__ = ["ToyCarrier"]
