"""`make doctor`: what is wrong with this gateway and what to do about it, a line each; exit code 1
if something FAILs.

It changes nothing, joins no cluster, and runs whatever else is broken. No line quotes a key or a
token.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway.addresses import EgressProxy, split_port
from gateway.commands import doctor_machine
from gateway.commands.doctor_machine import FAIL, OK, WARN, Finding
from gateway.commands.doctor_probes import (
    HOST_SECONDS,
    as_url,
    ask_cluster,
    built_in,
    fetch,
    listeners,
    program,
    reach,
    side_by_side,
)
from gateway.commands.ray_head import BIN
from gateway.commands.run import reachable
from gateway.errors import clean
from gateway.folders import opening
from gateway.settings import SettingError, Settings, bind_is_safe, load

_OTHER = "look at the firewall and the way out; or deploy with a base_url that can be reached"
UNREACHED: list[tuple[type[BaseException], str, str]] = [
    (socket.gaierror, "has no address", "look at its name and at DNS (/etc/resolv.conf)"),
    (ConnectionRefusedError, "refuses connections", "look at its port, and at the firewall"),
    (TimeoutError, f"does not answer within {HOST_SECONDS} s", _OTHER),
    (
        ssl.SSLCertVerificationError,
        "shows a certificate that is not valid here",
        "look at the clock and at proxies",
    ),
    (ssl.SSLError, "does not speak TLS", "look at its port and at proxies between"),
    (Exception, "cannot be reached", _OTHER),
]


@dataclass
class Patient:
    """What is known so far; later checks build on earlier ones."""

    env: dict[str, str]
    hosts: dict[str, str]  # URL -> the level of a failure to reach it
    # until they are read; so few chats have room on any machine
    settings: Settings = field(default_factory=lambda: load({"GATEWAY_MAX_IN_FLIGHT": "1"}))
    up: bool = False  # the gateway
    pid: int = 0  # its first process, if it can be seen
    folders: list[str] = field(default_factory=list)  # Ray's, on this machine
    # seconds by which hosts' clocks are ahead of ours
    ahead: list[float] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://{reachable(self.settings.bind)}"


def main(arguments: list[str]) -> None:
    """Run every check. Raises SystemExit, with 1 if one says FAIL."""
    ask = argparse.ArgumentParser(
        prog="python -m gateway doctor",
        description="Say what is wrong with this gateway, and what to do.",
    )
    ask.add_argument(
        "host",
        nargs="*",
        type=as_url,
        help="a host or base URL to try, instead of the built-in providers'",
    )
    chosen = ask.parse_args(arguments).host
    hosts = dict.fromkeys(chosen, FAIL) or dict.fromkeys(map(as_url, built_in()), WARN)
    patient = Patient(dict(os.environ), hosts)
    worst = 0
    for name, check in CHECKS.items():
        try:
            for level, finding, do in check(patient):
                arrow = f" -> {do}" if do else ""
                print(f"{level:5} {' '.join(finding.split())}{arrow}", flush=True)
                worst |= level == FAIL
        except Exception as error:  # not its text, which may quote anything
            print(
                f"FAIL  the check of {name} ended in {type(error).__name__} -> please report it",
                flush=True,
            )
            worst = 1
    if worst:
        raise SystemExit(1)


def settings(patient: Patient) -> Iterator[Finding]:
    wrong = _read_settings(patient)
    yield from (
        Finding(FAIL, error, "correct it; the gateway does not start with it") for error in wrong
    )
    if not wrong:
        yield Finding(OK, "settings: each can be used")


def ports(patient: Patient) -> Iterator[Finding]:
    """Say who listens where the gateway should; a running gateway's settings count where this
    terminal has none."""
    bind, port = patient.settings.bind, int(split_port(patient.settings.bind)[1])
    there = listeners(port)
    if not there:
        yield Finding(
            FAIL, f"gateway: nothing listens on {bind}", "start it: make run, or its service"
        )
        return
    who = ", ".join(f"{address} ({program(pid)})" for address, pid in there.items())
    status, reply = fetch(f"{patient.base}/healthz")
    if not status:
        do = (
            "it may be starting: try again in a minute; a gateway that stays silent needs a"
            " restart, and has a log"
        )
        yield Finding(
            FAIL, f"port {port}: {who} listens, and answers no HTTP within {HOST_SECONDS} s", do
        )
    elif not _is_our_health(reply):
        do = "stop it (ps -fp PID shows what it is), or set GATEWAY_BIND to a free port"
        yield Finding(FAIL, f"port {port}: taken by another program: {who}", do)
    else:
        patient.up, patient.pid = True, min(there.values())
        yield Finding(OK, f"gateway: listens on {who}, version {clean(str(reply.get('version')))}")
        yield from _adopt(patient)
        yield _readiness(patient)


def _is_our_health(reply: Any) -> bool:
    return isinstance(reply, dict) and reply.pop("ok", None) is True and set(reply) <= {"version"}


def _readiness(patient: Patient) -> Finding:
    status, reply = fetch(f"{patient.base}/readyz")
    if status == 200:
        return Finding(OK, "gateway: its cluster answers")
    why = reply["error"]["message"] if reply else f"no answer to /readyz within {HOST_SECONDS} s"
    do = "see the cluster's lines below; it reconnects by itself"
    return Finding(FAIL, f"gateway: {clean(why)}", do)


def tokens(patient: Patient) -> Iterator[Finding]:
    public = not bind_is_safe(split_port(patient.settings.bind)[0], (), {})
    count = len(patient.settings.tokens)
    if count:
        yield Finding(OK, f"tokens: {count}")
    elif not public:
        yield Finding(OK, "tokens: none, and only this machine reaches the gateway")
    elif patient.env.get("GATEWAY_OPEN") == "1":
        words = f"GATEWAY_OPEN=1: everyone who reaches {patient.settings.bind} may deploy and chat"
        yield Finding(
            WARN,
            words,
            "set GATEWAY_TOKENS_FILE and unset GATEWAY_OPEN, or be sure of your firewall",
        )
    if count and not patient.env.get("GATEWAY_TOKEN"):
        do = (
            "set it to an admin's token: make run needs it to deploy local_chat, make doctor to"
            " look at the chats"
        )
        yield Finding(WARN, "GATEWAY_TOKEN is not set, though tokens are configured", do)
    path = patient.env.get("RAY_AUTH_TOKEN_PATH", "").strip()
    with suppress(OSError):  # one that cannot be read is told elsewhere
        if path and (mode := os.stat(path).st_mode & 0o777) & 0o007:
            do = f"chmod o= {path}, and replace the token in it if others use this machine"
            yield Finding(
                FAIL,
                f"RAY_AUTH_TOKEN_PATH: {path} is open to every user of this machine (mode"
                f" {mode:o})",
                do,
            )


def cluster(patient: Patient) -> Iterator[Finding]:
    try:
        ray = metadata.version("ray")
    except metadata.PackageNotFoundError:
        do = "run make run, which installs everything, or use the gateway's own Python"
        yield Finding(FAIL, f"Ray is not installed for {sys.executable}", do)
        return
    ours = f"Ray {ray}, Python {platform.python_version()}"
    yield Finding(OK, f"here: {ours}")
    path = patient.env.get("RAY_AUTH_TOKEN_PATH", "")
    if path and not os.access(path, os.R_OK):
        do = "set it to the file of the cluster's token, readable by this user"
        yield Finding(FAIL, f"RAY_AUTH_TOKEN_PATH: cannot read {path}", do)
        return
    reply = ask_cluster(patient.settings.ray_address, patient.env)
    address = reply.get("address", patient.settings.ray_address)
    why = reply.get("error", "")
    if "auth" in why.lower() and "token" in why.lower():
        do = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to the file of its token"
        yield Finding(FAIL, f"cluster: {address} refuses this token, or the lack of one", do)
    elif why:
        do = "start one (make run starts its own), or set RAY_ADDRESS=host:6379"
        yield Finding(FAIL, f"cluster: no Ray can be asked at {address}: {clean(why)}", do)
    else:
        patient.folders = [str(Path(it).parent) for it in reply["sockets"] if os.path.exists(it)]
        theirs = f"Ray {reply['ray_version']}, Python {reply['python_version']}"
        if not reply["sockets"]:
            do = "wait if Ray has just been started; else look at raylet.out in its session's logs"
            yield Finding(FAIL, f"cluster: no node of {address} lives, so no chat can run", do)
        if theirs == ours:
            yield Finding(
                OK, f"cluster: {theirs} at {address}, living nodes: {len(reply['sockets'])}"
            )
        else:
            do = (
                f"start it with {BIN / 'ray'}, or install its versions here: both must be the same"
                " on both sides"
            )
            yield Finding(FAIL, f"cluster: {theirs} at {address}, but here are {ours}", do)
        yield from _doors(patient, int(split_port(address)[1]))
        yield from _folders(patient)


def chats(patient: Patient) -> Iterator[Finding]:
    if not patient.up:
        return
    status, reply = fetch(f"{patient.base}/models", patient.env.get("GATEWAY_TOKEN", "").strip())
    if status != 200:
        refused = status in (401, 403)
        do = (
            "set GATEWAY_TOKEN to one of the gateway's tokens"
            if refused
            else "see the cluster's lines above"
        )
        yield Finding(
            WARN,
            f"chats: not checked; GET /models {f'gave {status}' if status else 'did not answer'}",
            do,
        )
        return
    for chat in reply["models"]:
        if chat["host"]:
            patient.hosts[as_url(chat["host"])] = FAIL
        if chat["state"] == "need_key":
            yield Finding(
                FAIL, f"chat {chat['chat_name']}: its key is gone", "deploy it again, with its key"
            )
        elif chat["state"] != "answering":
            do = "GET /models says why; pay, or deploy another provider under this name"
            yield Finding(WARN, f"chat {chat['chat_name']}: {chat['state']}", do)
    yield Finding(OK, f"chats: {len(reply['models'])} deployed")


def providers(patient: Patient) -> Iterator[Finding]:
    for host in patient.settings.upstream_hosts:
        patient.hosts.setdefault(as_url(host), WARN)
    url = patient.settings.egress_proxy
    proxy = EgressProxy.from_url(url) if url else None
    way = f" through {proxy.netloc} (GATEWAY_EGRESS_PROXY)" if proxy else ""
    probes = {url: partial(reach, url, proxy) for url in patient.hosts}
    # Of the providers that nobody has chosen yet, what is wrong with many is said once.
    usual = set(map(as_url, built_in()))
    unreached: dict[tuple[str, ...], list[str]] = {}
    for url, answer in side_by_side(HOST_SECONDS + 1, probes).items():
        if answer is None or isinstance(answer, float):
            yield Finding(OK, f"provider: {url} is reached{way}")
            patient.ahead += [] if answer is None else [answer]
        else:
            why, do = next((why, do) for kind, why, do in UNREACHED if isinstance(answer, kind))
            one = "" if url in usual else url
            unreached.setdefault((patient.hosts[url], why, do, one), []).append(url)
    for (level, why, do, _), urls in unreached.items():
        each = "each " if len(urls) > 1 else ""
        yield Finding(level, f"provider: {', '.join(urls)} {each}{why}{way}", do)


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "settings": settings,
    "ports": ports,
    "tokens": tokens,
    "cluster": cluster,
    "chats": chats,
    "providers": providers,
    "clock": lambda patient: doctor_machine.clock(patient.ahead),
    "disk": lambda patient: doctor_machine.disk([*patient.folders, _temporary(patient.env), "/"]),
    "memory": lambda patient: doctor_machine.memory(patient.settings.processes, patient.up),
    "open files": lambda patient: doctor_machine.files(patient.pid, patient.settings.max_in_flight),
}


def _temporary(env: dict[str, str]) -> str:
    return env.get("RAY_TMPDIR") or env.get("TMPDIR") or "/tmp"  # noqa: S108


def _read_settings(patient: Patient) -> list[str]:
    """Read what can be used; the errors of what cannot."""
    env = dict(patient.env)
    wrong: list[str] = []
    while True:
        try:
            patient.settings = load(env)
            return wrong
        except SettingError as error:
            wrong.append(str(error))
        if env.get("GATEWAY_OPEN") == "1" or "GATEWAY_OPEN" not in wrong[-1]:
            names = re.findall("[A-Z_]{6,}", wrong[-1])
            if not names or env.pop(names[0], None) is None:
                return wrong  # of the machine, or of what nobody has set
        # else tokens that cannot be read would make GATEWAY_BIND look wrong, too
        env["GATEWAY_OPEN"] = "1"


def _adopt(patient: Patient) -> Iterator[Finding]:
    """Take the settings of the running gateway, where this terminal has none: those of a service
    are in no shell."""
    with suppress(OSError):
        if (owner := os.stat(f"/proc/{patient.pid}").st_uid) != os.geteuid():
            # Another user's could lead us to send the cluster's token to a cluster of theirs.
            words = (
                f"settings: the gateway runs as user {owner}, and only this terminal's are"
                " looked at"
            )
            yield Finding(WARN, words, f"run this as that user: sudo -u '#{owner}' make doctor")
            return
        rows = (
            Path(f"/proc/{patient.pid}/environ").read_bytes().decode(errors="replace").split("\0")
        )
        theirs = dict(row.split("=", 1) for row in rows if re.match("(GATEWAY|RAY|WEB)_.*=", row))
        if new := sorted(theirs.keys() - patient.env.keys()):
            patient.env = theirs | patient.env
            _read_settings(patient)
            yield Finding(OK, f"settings: {', '.join(new)}: as the running gateway has them")


def _doors(patient: Patient, port: int) -> Iterator[Finding]:
    """Say who may reach Ray: whoever does can run anything on it, unless it wants a token."""
    there = listeners(port)
    closed = there and all(address.startswith(("127.", "[::1]")) for address in there)
    if patient.env.get("RAY_AUTH_MODE") != "token" and not closed:
        do = "start Ray with RAY_AUTH_MODE=token, or be sure of your firewall"
        yield Finding(WARN, f"cluster: everyone who reaches port {port} can run programs on it", do)
    for address, pid in there.items():
        yield Finding(OK, f"cluster: its control store listens on {address} ({program(pid)})")


def _folders(patient: Patient) -> Iterator[Finding]:
    """Say who may write where Ray has its sockets, and so put others in their place."""
    for folder in patient.folders:
        if how := opening(Path(folder), os.stat(folder).st_uid):
            do = (
                "start Ray with --temp-dir=FOLDER/ray, after mkdir -m 700 FOLDER; or be sure of"
                " this machine's users"
            )
            yield Finding(
                WARN, f"cluster: other users of this machine could get at Ray's sockets: {how}", do
            )
