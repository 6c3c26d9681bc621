"""Calls on Acme, for telco_bridge."""
