"""The settings of the UCWA provider."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, field_validator, model_validator

from .body import Form
from .tokens import TokenSource

__all__ = ["OLD_MODALITIES", "AudioPreference", "SignInAs", "SupportedModality", "UcwaConfig"]

_DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_NUMBERS = re.compile(r"[0-9.]+")
_HOST = re.compile(r"(https?://)?([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?/?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


class AudioPreference(StrEnum):
    """Where incoming audio calls ring, and how: UCWA's words."""

    VOIP = "VoipAudio"
    PHONE = "PhoneAudio"


class SupportedModality(StrEnum):
    """What an application takes of incoming conversations: UCWA's words."""

    AUDIO = "Audio"
    VIDEO = "Video"
    PHONE_AUDIO = "PhoneAudio"
    MESSAGING = "Messaging"
    APPLICATION_SHARING = "ApplicationSharing"
    DATA_COLLABORATION = "DataCollaboration"
    PANORAMIC_VIDEO = "PanoramicVideo"


OLD_MODALITIES = frozenset({SupportedModality.PHONE_AUDIO, SupportedModality.MESSAGING})
"""All that older servers let an application take."""


class SignInAs(StrEnum):
    """The presence that a user signs in with: UCWA's words."""

    ONLINE = "Online"
    BUSY = "Busy"
    DO_NOT_DISTURB = "DoNotDisturb"
    BE_RIGHT_BACK = "BeRightBack"
    AWAY = "Away"
    OFF_WORK = "Offwork"


class UcwaConfig(BaseModel):
    """How to reach a Skype for Business server, and as whom.

    Signing in begins with autodiscovery of `domain`, by default the one of `username`. At most one of these replaces
    it: `root_url` is where autodiscovery begins, `user_url` the `user` resource that it leads to, and `application_url`
    the `applications` resource itself. Secrets are sent to the hosts of the domain that was discovered or written
    down, to the one that is configured, and to no other that does not stand in `allowed_hosts`, as `host`,
    `host:port` or `https://host:port`.

    Who signs in is said by exactly one of `password`, with a `username`; `windows` without a password, which proves the
    ticket of whoever runs the program; `token_source`, which is a function or the words of a command; and
    `conference_key`, with a `conference_uri`: a guest of that meeting. `windows` beside a password proves it by NTLM or
    Kerberos in place of sending it.

    `phone_number` is the user's own phone, which the server rings first for phone audio; without it the server uses
    the one it knows. `available` makes the user reachable for incoming calls for as long as the bridge is open:
    `audio_preference` says where they ring, `supported_modalities` what is taken, `sign_in_as` what others see.
    `endpoint_id` must be unique per running program; by default every connection makes a new one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    domain: str | None = Field(
        default=None, description="The SIP domain to discover the server of; by default that of the username."
    )
    root_url: str | None = Field(
        default=None, description="Where autodiscovery begins, in place of the domain's well-known hosts."
    )
    user_url: str | None = Field(default=None, description="The user resource that autodiscovery leads to.")
    application_url: str | None = Field(
        default=None, description="The applications resource itself, in place of user_url."
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="The user that the bridge signs in as: ada@example.org, or EXAMPLE\\ada with a domain beside it.",
    )
    password: SecretStr | None = Field(default=None, min_length=1, description="The user's password.")
    windows: bool = Field(
        default=False,
        description="Windows sign-in (NTLM, Kerberos), with the password or without one as the user of this program.",
    )
    token_source: TokenSource | tuple[str, ...] | None = Field(
        default=None,
        repr=False,
        description="A function that fetches tokens, or the words of a command that prints one, instead of a password.",
    )
    conference_uri: str | None = Field(
        default=None, min_length=1, description="The meeting to join as a guest, sip:ada@example.org;gruu;opaque=…"
    )
    conference_key: SecretStr | None = Field(
        default=None, min_length=1, description="The key of that meeting, instead of a password."
    )
    phone_number: str | None = Field(
        default=None, description="The user's own phone, rung first for phone audio; else the one the server knows."
    )
    user_agent: str = Field(
        default="telco_bridge", min_length=1, max_length=100, description="What the application calls itself."
    )
    culture: str = Field(
        default="en-US", min_length=1, max_length=100, description="The language of the server's words, such as en-US."
    )
    endpoint_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Names this program among those of the user; every connection makes a new one where it is not set.",
    )
    available: bool = Field(
        default=False, description="Whether the user is reachable for incoming calls while the bridge is open."
    )
    audio_preference: AudioPreference = Field(
        default=AudioPreference.VOIP,
        description="Where incoming audio calls ring: VoipAudio, at the application; PhoneAudio, on the user's phone.",
    )
    supported_modalities: tuple[SupportedModality, ...] = Field(
        default=(SupportedModality.AUDIO, SupportedModality.VIDEO, SupportedModality.PHONE_AUDIO),
        min_length=1,
        description="What the application takes of incoming calls: Audio, Video, PhoneAudio, …",
    )
    sign_in_as: SignInAs = Field(
        default=SignInAs.ONLINE, description="The presence that others see: Online, Busy, DoNotDisturb, Away, …"
    )
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds for each of connecting, sending and reading."
    )
    poll_timeout: int = Field(
        default=180, ge=180, le=1800, description="Seconds after which the server releases a poll without events."
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="A PEM file with the organization's own authorities, believed beside the public ones.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Further hosts that links may lead to: host, host:port or https://host:port."
    )
    format: Form = Field(
        default=Form.JSON, description="The form of bodies: json, or xml, which needs telco-bridge[ucwa-xml]."
    )

    @field_validator("root_url", "user_url", "application_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is not None:
            _check(url)
        return url

    @field_validator("token_source", mode="before")
    @classmethod
    def _is_source(cls, source: object) -> object:
        if source is not None and not callable(source) and not _is_command(source):
            raise ValueError(
                'write a command as the list of its words, the program first: ["/usr/local/bin/skype-token", "--quiet"]'
            )
        return source

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            # What may hold credentials is refused below, and not shown.
            if host and "@" not in host and not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host.partition('?')[0]!r} names no host; write pool1.example.net, pool1.example.net:4443 or "
                    "https://pool1.example.net:4443"
                )
        return hosts

    @field_validator("windows")
    @classmethod
    def _has_its_library(cls, value: object) -> object:
        if value is True and find_spec("spnego") is None:
            raise ValueError("Windows sign-in needs pyspnego: install telco-bridge[windows]")
        return value

    @field_validator("format")
    @classmethod
    def _is_readable(cls, form: Form) -> Form:
        if form is Form.XML and find_spec("defusedxml") is None:
            raise ValueError("reading XML needs defusedxml: install telco-bridge[ucwa-xml], or leave format as json")
        return form

    @field_validator("domain")
    @classmethod
    def _is_domain(cls, domain: str | None) -> str | None:
        if domain is not None and not _is_name(domain.lower()):
            raise ValueError("write a SIP domain, such as example.org")
        return domain.lower() if domain is not None else None

    @model_validator(mode="after")
    def _has_one_entry(self) -> UcwaConfig:
        if sum(url is not None for url in (self.root_url, self.user_url, self.application_url)) > 1:
            raise ValueError("set exactly one of root_url, user_url and application_url, or a domain instead of them")
        if not self.entry:
            raise ValueError("set domain, for the username names none; or exactly one of user_url and application_url")
        for allowed in self.origins:
            _check(allowed)
        return self

    @model_validator(mode="after")
    def _rings_where_it_is_taken(self) -> UcwaConfig:
        rung = {AudioPreference.VOIP: SupportedModality.AUDIO, AudioPreference.PHONE: SupportedModality.PHONE_AUDIO}
        audio = {SupportedModality.AUDIO, SupportedModality.PHONE_AUDIO}.intersection(self.supported_modalities)
        if audio and rung[self.audio_preference] not in audio:
            raise ValueError("add to supported_modalities what audio_preference names, or change audio_preference")
        return self

    @model_validator(mode="after")
    def _has_one_identity(self) -> UcwaConfig:
        given = sum(one is not None for one in (self.password, self.token_source, self.conference_key))
        if given > 1 or given == int(self.windows and self.password is None):
            raise ValueError(
                "set exactly one of password, token_source, conference_key, and windows without a password"
            )
        command = None if callable(self.token_source) else self.token_source
        if command is not None and (not command or not command[0]):
            raise ValueError("write the words of a command in token_source, the program first")
        if self.password is not None and self.username is None:
            raise ValueError("set the username that the password belongs to")
        if (self.conference_uri is None) != (self.conference_key is None):
            raise ValueError("set conference_uri and conference_key together")
        return self

    @property
    def discovered(self) -> str | None:
        """The domain whose hosts are the server's; None where a URL is configured and no domain."""
        if self.domain is not None or self._url is not None:
            return self.domain
        name = (self.username or self.conference_uri or "").partition(";")[0]
        domain = name.rpartition("@")[2].lower() if "@" in name else ""
        return domain if _is_name(domain) else None

    @property
    def entries(self) -> tuple[str, ...]:
        """The URLs that autodiscovery tries, in their order.

        UCWA documents https before http, and the internal host before the external one.
        """
        if self.root_url is not None:
            return (self.root_url,)
        hosts = [f"{name}.{self.discovered}" for name in ("lyncdiscoverinternal", "lyncdiscover")]
        return tuple(f"{scheme}://{host}/" for scheme in ("https", "http") for host in hosts)

    @property
    def entry(self) -> str:
        """The URL that signing in begins with; empty where none can be found."""
        return self._url or (self.entries[0] if self.discovered is not None else "")

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that are allowed by name, the configured one first."""
        scheme = urlsplit(self.entry).scheme
        return (self.entry, *(_origin(host, scheme) for host in self.allowed_hosts))

    @property
    def who(self) -> str:
        """Who signs in, for messages."""
        if self.username is not None:
            return self.username
        if self.conference_key is not None:
            return "the guest of the meeting"
        return "the user of this program" if self.windows else "the owner of the token"

    @property
    def reach(self) -> str:
        """The hosts that secrets may be sent to, for messages."""
        named = sorted({"{}://{}:{}".format(*_place(url)) for url in self.origins})
        return ", ".join([*([f"https://*.{self.discovered}"] if self.discovered is not None else []), *named])

    def trusts(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether secrets may be sent there."""
        place = (scheme, host.lower(), port or _PORTS.get(scheme, 0))
        return (scheme == "https" and self._is_ours(host)) or any(place == _place(url) for url in self.origins)

    def may_ask(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether what everybody may read may be read there: UCWA documents http entries to autodiscovery."""
        return (scheme == "http" and port in (None, 80) and self._is_ours(host)) or self.trusts(scheme, host, port)

    @property
    def _url(self) -> str | None:
        return self.root_url or self.user_url or self.application_url

    def _is_ours(self, host: str) -> bool:
        domain = self.discovered
        return domain is not None and (host.lower() == domain or host.lower().endswith(f".{domain}"))


def _place(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def _is_command(source: object) -> bool:
    return isinstance(source, list | tuple) and all(isinstance(word, str) for word in cast("list[object]", source))


def _is_name(domain: str) -> bool:
    """Whether it has the form of a domain: not a top one, which would be the home of strangers, and no address."""
    return _DOMAIN.fullmatch(domain) is not None and _NUMBERS.fullmatch(domain) is None


def _origin(host: str, scheme: str) -> str:
    if "://" in host:
        return host
    return f"{scheme}://{host}" if _is_loopback(urlsplit(f"//{host}").hostname) else f"https://{host}"


def _check(url: str) -> None:
    # Credentials come first, and what is shown has none: not even those of a URL that cannot be read.
    shown = repr(url.rpartition("@")[2].partition("?")[0])
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{shown} is no http(s) URL") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain credentials; set username and password instead")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{shown} is no http(s) URL")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"{shown} would send the password in the clear; use https")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
