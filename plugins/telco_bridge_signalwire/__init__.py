"""Calls on a SignalWire space, through its Compatibility (LaML, cXML) API."""
