"""The environment, read once into a frozen value. A wrong setting stops the start and names the
variable."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from gateway.addresses import EgressProxy, canonical, is_guarded, split_port
from gateway.charsets import CODECS, charset
from gateway.notify_targets import Target, parse_all
from gateway.tokens import Token, check_all, parse_token

SPARE_THREADS = 32
"""Beyond one for each large question to a chat and each wait for a job: they answer /healthz,
/models and GATEWAY_BUSY."""

ADDRESS_SPACE = 3 * 1024**3
"""What a gateway process takes of it at most, beside its threads' stacks: Ray reserves much that it
never uses."""

Network = IPv4Network | IPv6Network


class SettingError(ValueError):
    """A setting that cannot be used; its text names the variable and what it may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See docs/settings.md. `max_in_flight` counts chats per gunicorn process. `egress_proxy` may
    hold a password."""

    bind: str
    tokens: tuple[Token, ...]
    max_body_bytes: int
    max_in_flight: int
    processes: int
    hosts: frozenset[str]
    cross_site: bool
    upstream_hosts: frozenset[str]
    egress_proxy: str = field(repr=False)
    models_folder: str
    state_folder: str
    check: bool
    undo_seconds: int
    probe_seconds: int
    keep_answers: int
    ray_address: str
    log_format: str
    trusted_proxies: tuple[Network, ...]
    allow_get: bool
    fallback_charset: str
    join_repeats: bool
    notify: tuple[Target, ...]
    notify_lang: str


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingError."""
    env = os.environ if environment is None else environment
    tokens = _tokens(env)
    bind = _bind(env, tokens)
    upstream_hosts = frozenset(
        map(_spelled, env.get("GATEWAY_UPSTREAM_HOSTS", "").replace(",", " ").split())
    )
    return Settings(
        bind=bind,
        tokens=tokens,
        max_body_bytes=_number(env, "GATEWAY_MAX_BODY_BYTES", 8 * 1024 * 1024, 1024),
        max_in_flight=_max_in_flight(env),
        processes=_number(env, "WEB_CONCURRENCY", 2, 1),
        hosts=_hosts(env) | {"localhost", split_port(bind)[0].lower()},
        cross_site=_switch(env, "GATEWAY_CROSS_SITE"),
        upstream_hosts=upstream_hosts,
        egress_proxy=_egress_proxy(env, upstream_hosts),
        models_folder=_folder(env, "GATEWAY_MODELS", "/srv/models"),
        state_folder=_folder(env, "GATEWAY_STATE", "/var/lib/byzer-gateway"),
        check=_switch(env, "GATEWAY_CHECK"),
        undo_seconds=_number(env, "GATEWAY_UNDO_SECONDS", 3600, 0),
        probe_seconds=_number(env, "GATEWAY_PROBE_SECONDS", 60, 1),
        keep_answers=_number(env, "GATEWAY_KEEP_ANSWERS", 3600, 1, 7 * 24 * 3600),
        ray_address=_ray_address(env),
        log_format=_log_format(env),
        trusted_proxies=_proxies(env, tokens),
        allow_get=_switch(env, "GATEWAY_ALLOW_GET"),
        fallback_charset=_charset(env),
        join_repeats=_switch(env, "GATEWAY_JOIN_REPEATS", default=True),
        notify=_notify(env),
        notify_lang=_notify_lang(env),
    )


def bind_is_safe(host: str, tokens: tuple[Token, ...], env: Mapping[str, str] = os.environ) -> bool:
    """Return whether listening on `host` lets in only whom the operator meant: with tokens, on
    loopback, or GATEWAY_OPEN=1."""
    return bool(tokens) or _is_loopback(host) or env.get("GATEWAY_OPEN", "") == "1"


def _number(
    env: Mapping[str, str], name: str, default: int, least: int, most: int | None = None
) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least or (most and int(text) > most):
        bounds = f"from {least} to {most}" if most else f"{least} or more"
        raise SettingError(f"{name} is {text!r}; it must be a whole number, {bounds}.")
    return int(text)


def _max_in_flight(env: Mapping[str, str]) -> int:
    """Return the chats at once, and as many waits for jobs, each in a thread with a stack of its
    own: what does not fit would end the process later."""
    chats = _number(env, "GATEWAY_MAX_IN_FLIGHT", 1024, 1)
    space, stack = (
        resource.getrlimit(resource.RLIMIT_AS)[0],
        resource.getrlimit(resource.RLIMIT_STACK)[0],
    )
    if stack == resource.RLIM_INFINITY:
        stack = 2 * 1024**2  # glibc's own then
    fitting = ((space - ADDRESS_SPACE) // stack - SPARE_THREADS) // 2
    if space != resource.RLIM_INFINITY and fitting < chats:
        needed = (ADDRESS_SPACE + (2 * chats + SPARE_THREADS) * stack) // 1024
        fewer = f", or set GATEWAY_MAX_IN_FLIGHT to {fitting} or less" if fitting > 0 else ""
        raise SettingError(
            f"ulimit -v is {space // 1024}, which is too little for {chats} chats at once"
            f" (GATEWAY_MAX_IN_FLIGHT): it must be {needed} or more, best unlimited{fewer}. To"
            " limit memory itself, use a cgroup (MemoryMax=)."
        )
    return chats


def _switch(env: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = env.get(name, "").strip()
    if text not in ("", "0", "1"):
        raise SettingError(f"{name} is {text!r}; it must be 1 or 0.")
    return text == "1" if text else default


def _hosts(env: Mapping[str, str]) -> frozenset[str]:
    """Return the names by which the gateway may be called, as browsers send them."""
    try:
        return frozenset(
            canonical(host) for host in env.get("GATEWAY_HOSTS", "").replace(",", " ").split()
        )
    except ValueError as error:
        raise SettingError(
            f"GATEWAY_HOSTS: {error}; it must be names without ports, such as llm.example.com."
        ) from error


def _egress_proxy(env: Mapping[str, str], upstream_hosts: frozenset[str]) -> str:
    url = env.get("GATEWAY_EGRESS_PROXY", "").strip()
    if not url:
        return ""
    try:
        proxy = EgressProxy.from_url(url)
    except ValueError as error:
        raise SettingError(f"GATEWAY_EGRESS_PROXY {error}.") from None  # it may hold a password
    if is_guarded(proxy.host) and proxy.host not in upstream_hosts:
        raise SettingError(
            f"GATEWAY_EGRESS_PROXY: {proxy.host} is a link-local or metadata address;"
            " GATEWAY_UPSTREAM_HOSTS could allow it."
        )
    return proxy.url


def _folder(env: Mapping[str, str], name: str, example: str) -> str:
    folder = env.get(name, "").strip()
    if folder and not os.path.isabs(folder):
        raise SettingError(
            f"{name} is {folder!r}; it must be a folder's absolute path, such as {example}."
        )
    return folder


def _spelled(host: str) -> str:
    """Return a host as base URLs are kept; what is none, such as one with a port, as it stands: it
    lets in nobody."""
    try:
        return canonical(host)
    except ValueError:
        return host.lower()


def _charset(env: Mapping[str, str]) -> str:
    text = env.get("GATEWAY_FALLBACK_CHARSET", "").strip() or "gb18030"
    if name := charset(text):
        return name
    raise SettingError(
        f"GATEWAY_FALLBACK_CHARSET is {text!r}; it must be one of {', '.join(CODECS)}."
    )


def _log_format(env: Mapping[str, str]) -> str:
    log_format = env.get("LOG_FORMAT", "").strip() or "json"
    if log_format not in ("json", "text"):
        raise SettingError(f"LOG_FORMAT is {log_format!r}; it must be json or text.")
    return log_format


def _ray_address(env: Mapping[str, str]) -> str:
    address = env.get("RAY_ADDRESS", "").strip() or "auto"
    _, port = split_port(address)
    if address != "auto" and (not port or "://" in address):
        raise SettingError(
            f"RAY_ADDRESS is {address!r}; it must be host:port, such as 10.0.0.5:6379, or auto."
        )
    return address


def _bind(env: Mapping[str, str], tokens: tuple[Token, ...]) -> str:
    bind = env.get("GATEWAY_BIND", "").strip() or "127.0.0.1:8099"
    host, port = split_port(bind)
    if not port or not 0 < int(port) < 65536:
        raise SettingError(f"GATEWAY_BIND is {bind!r}; it must be host:port, such as 0.0.0.0:8099.")
    if not bind_is_safe(host, tokens, env):
        raise SettingError(
            f"GATEWAY_BIND={bind} would let anyone in: set GATEWAY_TOKENS or GATEWAY_TOKENS_FILE, "
            "or GATEWAY_OPEN=1 if everyone who reaches this address may deploy and chat."
        )
    return bind


def _proxies(env: Mapping[str, str], tokens: tuple[Token, ...]) -> tuple[Network, ...]:
    text = env.get("GATEWAY_TRUSTED_PROXIES", "")
    try:
        proxies = tuple(ip_network(one) for one in text.replace(",", " ").split())
    except ValueError as error:
        raise SettingError(
            f"GATEWAY_TRUSTED_PROXIES: {error}; it must be addresses or networks, such as"
            " 127.0.0.1,10.0.0.7."
        ) from error
    # A proxy opens even a gateway on loopback to those who reach the proxy.
    if proxies and not (tokens or env.get("GATEWAY_OPEN", "") == "1"):
        raise SettingError(
            f"GATEWAY_TRUSTED_PROXIES={text.strip()} lets in whom the proxy lets in: set"
            " GATEWAY_TOKENS or GATEWAY_TOKENS_FILE, or GATEWAY_OPEN=1 if everyone who reaches the"
            " proxy may deploy and chat."
        )
    return proxies


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _tokens(env: Mapping[str, str]) -> tuple[Token, ...]:
    sources = _text(env, "GATEWAY_TOKENS") | _file(env, "GATEWAY_TOKENS_FILE")
    tokens = [
        _token(variable, number, line.strip())
        for variable, text in sources.items()
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    ]
    try:
        check_all(tokens)
    except ValueError as error:
        raise SettingError(f"{' and '.join(sources)}: {error}.") from None
    if sources and not tokens:
        # An emptied file must not quietly open the gateway to everyone.
        raise SettingError(
            f"{' and '.join(sources)} names no token; add a line name:token:scopes, or unset it."
        )
    return tuple(tokens)


def _text(env: Mapping[str, str], name: str) -> dict[str, str]:
    """Return a variable by its name, unless it is empty."""
    return {name: env[name]} if env.get(name, "").strip() else {}


def _file(env: Mapping[str, str], name: str) -> dict[str, str]:
    """Return what is in the file of secrets that a variable names, by the variable's name."""
    path = env.get(name, "").strip()
    if not path:
        return {}
    try:
        _refuse_open(name, path)
        return {name: Path(path).read_text()}
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(f"{name}: cannot read {path}: {words}.") from None


def _refuse_open(variable: str, path: str) -> None:
    """Raise SettingError for a file that others can read; only root's may be its group's, as an
    installed one is."""
    status = os.stat(path)
    if status.st_mode & (0o006 if status.st_uid == 0 else 0o066):
        raise SettingError(
            f"{variable}: others can read {path} (mode {status.st_mode & 0o777:o}): chmod go="
            f" {path}, and replace what is in it if others use this machine."
        )


def _notify(env: Mapping[str, str]) -> tuple[Target, ...]:
    try:
        return parse_all(_text(env, "GATEWAY_NOTIFY") | _file(env, "GATEWAY_NOTIFY_FILE"))
    except ValueError as error:
        raise SettingError(str(error)) from None


def _notify_lang(env: Mapping[str, str]) -> str:
    lang = env.get("GATEWAY_NOTIFY_LANG", "").strip() or "en"
    if lang not in ("en", "zh"):
        raise SettingError(f"GATEWAY_NOTIFY_LANG is {lang!r}; it must be en or zh.")
    return lang


def _token(variable: str, number: int, line: str) -> Token:
    try:
        return parse_token(line)
    except ValueError as error:  # it does not quote the line, which holds a token
        raise SettingError(f"{variable}, line {number}: {error}.") from None
