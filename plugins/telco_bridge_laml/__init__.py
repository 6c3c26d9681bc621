"""LaML, the API of calls that several carriers share: what a provider's plugin needs beside its own `Dialect`.

A library for plugins, and no plugin itself.
"""
