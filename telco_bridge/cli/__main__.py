"""`python -m telco_bridge.cli`."""

from . import main

main()
