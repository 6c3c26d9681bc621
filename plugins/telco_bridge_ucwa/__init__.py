"""Skype for Business (Microsoft UCWA 2.0) as a telco_bridge provider."""
