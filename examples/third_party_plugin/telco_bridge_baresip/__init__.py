"""Real phone calls over SIP, made by the softphone baresip, for telco_bridge."""
