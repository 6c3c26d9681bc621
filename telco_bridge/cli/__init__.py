"""The command line `telco-bridge`."""

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of the process. Raises `SystemExit`."""
    from .app import app

    app(prog_name="telco-bridge")
