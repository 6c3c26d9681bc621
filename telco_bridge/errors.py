"""Every error the library raises on purpose.

TelcoBridgeError
├── ConfigError             a setting is missing, unknown or wrong
├── PluginError             a provider plugin cannot be used
│   ├── PluginNotFound      nothing installed has that name
│   ├── PluginConflict      two distributions claim that name
│   ├── PluginLoadError     its code could not be imported
│   └── PluginContractError it breaks the plugin contract
├── ProviderError           the provider, or the way to it, failed
│   ├── AuthenticationFailed
│   ├── RateLimited
│   ├── Refused             the provider said no, with a code
│   └── Unreachable         nothing was sent, or nobody answers
├── Unsupported             this provider cannot express it, ever
├── NotPossibleNow          the state of the call or bridge forbids it
├── NotAnswered             the call ended before anybody answered
└── OutcomeUnknown          sent, and no fact told what became of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .commands import Command
    from .reports import CallReport
    from .termination import Termination

__all__ = [
    "AuthenticationFailed",
    "ConfigError",
    "NotAnswered",
    "NotPossibleNow",
    "OutcomeUnknown",
    "PluginConflict",
    "PluginContractError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFound",
    "ProviderError",
    "RateLimited",
    "Refused",
    "TelcoBridgeError",
    "Unreachable",
    "Unsupported",
]


class TelcoBridgeError(Exception):
    """Anything this library raises on purpose."""


class ConfigError(TelcoBridgeError):
    """A setting is missing, unknown or wrong; the message names its path and the remedy."""


class PluginError(TelcoBridgeError):
    """A provider plugin cannot be used; other providers are not affected."""


class PluginNotFound(PluginError):
    """No installed distribution offers a provider of that name."""


class PluginConflict(PluginError):
    """More than one installed distribution offers a provider of that name."""


class PluginLoadError(PluginError):
    """The plugin's code failed on import; the cause is chained."""


class PluginContractError(PluginError):
    """The plugin does not keep the contract of `telco_bridge.provider`."""


class ProviderError(TelcoBridgeError):
    """The provider, or the way to it, failed.

    `code` is the provider's own error code and `status` the HTTP status, where there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.code = code
        self.status = status


class AuthenticationFailed(ProviderError):
    """The provider does not accept the credentials, or they lack a permission. Never retried."""


class RateLimited(ProviderError):
    """The provider did not execute the request because there were too many.

    `retry_after` is the pause it asked for, in seconds, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        provider: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, provider=provider, code=code, status=status)
        self.retry_after = retry_after


class Refused(ProviderError):
    """The provider understood and said no. Nothing changed.

    `termination` is set where the refusal came as the end of what was asked (a stream that failed to start).
    """

    def __init__(
        self,
        message: str,
        *,
        termination: Termination | None = None,
        provider: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, provider=provider, code=code, status=status)
        self.termination = termination


class Unreachable(ProviderError):
    """The provider could not be reached; nothing was executed."""


class Unsupported(TelcoBridgeError):
    """The provider cannot express it, whatever the state. Nothing was sent."""


class NotPossibleNow(TelcoBridgeError):
    """The state of the call, or of the bridge, forbids it now: nothing was sent, or it was too late."""


class NotAnswered(TelcoBridgeError):
    """The call ended before it was answered; `termination` says why."""

    def __init__(self, message: str, termination: Termination) -> None:
        super().__init__(message)
        self.termination = termination


class OutcomeUnknown(TelcoBridgeError):
    """The command was sent and nothing told what became of it. It is never repeated behind your back.

    `command` is what was asked. `candidates` are calls that look like a dial whose answer was lost: they are
    shown and never adopted, because another program may own them.
    """

    def __init__(self, message: str, command: Command, candidates: Sequence[CallReport] = ()) -> None:
        super().__init__(message)
        self.command = command
        self.candidates = tuple(candidates)
