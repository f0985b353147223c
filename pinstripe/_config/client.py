"""The configuration of a client, checked when it is made.

The rule behind most of the checks: a key is sent only to an address that the caller meant, and only
encrypted, except to a test server on this machine.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, evolve, field, frozen

from pinstripe._config.hooks import Hooks
from pinstripe._config.options import (
    DEFAULT_API_VERSION,
    DEFAULT_RATE_LIMIT,
    PUBLISHED_RATES,
    Limits,
    RateLimit,
    RetryPolicy,
    Timeout,
    as_timeout,
    check_context,
    check_version,
    instance_of,
    optional_header,
)
from pinstripe._config.proxy import parse_proxy
from pinstripe._config.tls import TLS, check_tls
from pinstripe._core.checks import is_host, plain_text
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Unpicklable, Value
from pinstripe._limits.rates import Rates

DEFAULT_BASE_URL = "https://api.stripe.com"
DEFAULT_FILES_URL = "https://files.stripe.com"

_API_KEY = re.compile(r"(?:sk|rk)_(?:test|live|org)_[A-Za-z0-9_]+")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1", re.IGNORECASE | re.ASCII)


def _check_api_key(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        problem = "is missing; pass it, or set STRIPE_API_KEY"
    elif value.startswith("pk_"):
        problem = "is a publishable key; these resources need a secret or restricted key"
    elif value.strip() != value:
        problem = "has white space around it"
    elif not _API_KEY.fullmatch(value):
        problem = "is not a key; it should start with sk_test_, rk_test_, sk_live_ or rk_live_"
    else:
        return
    raise ConfigurationError(attribute.name, problem)


def is_loopback(host: str) -> bool:
    """Return whether a host name can only be this machine; no name is looked up.

    Args:
        host: `localhost` or an IP address; an IPv6 address may be in brackets.
    """
    return _LOOPBACK.fullmatch(host.strip("[]")) is not None


def _without_slash(value: Any) -> Any:
    text = plain_text(value)
    return text.rstrip("/") if isinstance(text, str) else text


def _check_origin(config: Config, attribute: Attribute[Any], value: str) -> None:
    insecure = config.allow_insecure_http
    check_origin(attribute.name, value, live=bool(config.livemode), insecure=insecure)


def _check_rate_limit(config: Config, attribute: Attribute[Any], value: Any) -> None:
    if value is not None:
        instance_of(RateLimit)(config, attribute, value)


def _check_proxy(config: Config, attribute: Attribute[Any], value: str | None) -> None:
    if value is None or value == "environment":
        return
    parse_proxy(attribute.name, value)
    plain = not all(url.lower().startswith("https:") for url in (config.base_url, config.files_url))
    if plain and not config.allow_insecure_http:
        raise ConfigurationError(
            attribute.name, "could read the key, since an address of the API is plain http"
        )


@frozen(kw_only=True, eq=False, repr=False)
class Config(Value, Unpicklable):
    """The settings of a client; `AsyncClient` describes each of them."""

    api_key: str = field(repr=False, converter=plain_text, validator=_check_api_key)
    allow_insecure_http: bool = field(default=False, validator=instance_of(bool))
    base_url: str = field(
        default=DEFAULT_BASE_URL, converter=_without_slash, validator=_check_origin
    )
    files_url: str = field(
        default=DEFAULT_FILES_URL, converter=_without_slash, validator=_check_origin
    )
    api_version: str = field(
        default=DEFAULT_API_VERSION, converter=plain_text, validator=check_version
    )
    account: str | None = field(default=None, converter=plain_text, validator=optional_header)
    context: str | None = field(default=None, converter=plain_text, validator=check_context)
    timeout: Timeout = field(factory=Timeout, converter=as_timeout)
    retry: RetryPolicy = field(factory=RetryPolicy, validator=instance_of(RetryPolicy))
    rate_limit: RateLimit | None = field(default=DEFAULT_RATE_LIMIT, validator=_check_rate_limit)
    limits: Limits = field(factory=Limits, validator=instance_of(Limits))
    hooks: Hooks = field(factory=Hooks, validator=instance_of(Hooks))
    tls: TLS | ssl.SSLContext | None = field(default=None, validator=check_tls)
    proxy: str | None = field(
        default=None, repr=False, converter=plain_text, validator=_check_proxy
    )
    coalesce: bool = field(default=False, validator=instance_of(bool))

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request; those of a call replace them."""
        headers = {"Stripe-Version": self.api_version}
        if self.account is not None:
            headers["Stripe-Account"] = self.account
        if self.context is not None:
            headers["Stripe-Context"] = self.context
        return headers

    @property
    def of_organization(self) -> bool:
        """Whether the key is that of an organization, each call of which needs a context."""
        return self.api_key.startswith("sk_org_")

    @property
    def livemode(self) -> bool | None:
        """Whether the key moves real money; None if it does not say."""
        if "_live_" in self.api_key:
            return True
        return False if "_test_" in self.api_key else None

    def server_of(self, host: Literal["api", "files"]) -> tuple[str, int]:
        """Return the name and the port of the server behind an address of the API.

        Args:
            host: Which address.
        """
        return _server_of(self.base_url if host == "api" else self.files_url)

    @property
    def rates(self) -> Rates:
        """The most requests a second; what the rate limit leaves open is as Stripe publishes.

        A server on this machine has no published rates: it is not Stripe but mostly a sandbox,
        and tests have to be fast. Any other address may lead to Stripe.
        """
        limit = self.rate_limit
        if limit is None:
            return Rates()
        published = PUBLISHED_RATES["live" if self.livemode else "test"]
        found = _ORIGIN.fullmatch(self.base_url)
        if found is not None and is_loopback(found["host"]):
            published = Rates()
        given = {"account": limit.account, "endpoint": limit.endpoint, "files": limit.files}
        chosen = {name: rate for name, rate in given.items() if rate is not None}
        return evolve(published, burst=limit.burst, shared=limit.shared, **chosen)


@lru_cache
def _server_of(origin: str) -> tuple[str, int]:
    parts = urlsplit(origin)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def check_origin(argument: str, url: str, *, live: bool, insecure: bool = False) -> None:
    """Refuse an address to which a key must not be sent.

    Plain http is for a sandbox on this machine, and never for a live key.

    Args:
        argument: The name to give in the error.
        url: Scheme, host and port, such as `https://api.stripe.com`.
        live: Whether the key moves real money.
        insecure: Whether the caller allowed plain http.

    Raises:
        ConfigurationError: It is not an address, or not a safe one.
    """
    found = _ORIGIN.fullmatch(url) if isinstance(url, str) else None
    if found is None or int(found["port"] or 0) > 65535 or not is_host(found["host"]):
        problem = "must be an address like https://host:port, without a path"
        raise ConfigurationError(argument, problem)
    unsafe = live or not is_loopback(found["host"])
    if found["scheme"].lower() == "http" and unsafe and not insecure:
        problem = "plain http is only for test keys on this machine (see allow_insecure_http)"
        raise ConfigurationError(argument, problem)


def config_from(settings: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of a client, completed from the environment.

    Args:
        settings: The arguments of the client. None counts as not given, except for `rate_limit`,
            which it switches off.
        environ: The environment that holds `STRIPE_API_KEY` and `PINSTRIPE_BASE_URL`;
            `os.environ` by default. Its address also serves files.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {
        name: value for name, value in settings.items() if value is not None or name == "rate_limit"
    }
    given.setdefault("api_key", environ.get("STRIPE_API_KEY", ""))
    if "base_url" not in given and (address := environ.get("PINSTRIPE_BASE_URL")):
        given["base_url"] = address
        given.setdefault("files_url", address)
    return Config(**given)
