"""What the doctor looks with. Each probe has a limit in seconds, changes nothing and needs Python
alone."""

from __future__ import annotations

import ast
import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.addresses import EgressProxy
from gateway.commands import own_gateway
from gateway.commands.run import HERE

HOST_SECONDS = 5
"""For a host's DNS, TCP, TLS and first bytes together; as long as the gateway itself waits to
connect."""

CLUSTER_SECONDS = 20
"""Of which importing Ray takes about 1 s, and much longer on a busy machine."""

_ASK_CLUSTER = """
import json, socket, sys
said = {}
try:
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient
    address = sys.argv[1]
    said["address"] = canonicalize_bootstrap_address("auto") if address == "auto" else address
    host, _, port = said["address"].rpartition(":")
    # Ray itself would try for 40 s.
    socket.create_connection((host.strip("[]"), int(port)), 5).close()
    store = GcsClient(address=said["address"])
    said |= json.loads(store.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster", timeout=5))
    nodes = store.get_all_node_info(timeout=5).values()
    said["sockets"] = [node.object_store_socket_name for node in nodes if node.state == 0]
except Exception as error:
    said["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""
"""Reads the cluster's versions from its control store, as `ray.init` does before it joins; in a
process of its own, since Ray's C++ may hang or abort."""

T = TypeVar("T")


def ask_cluster(address: str, environment: dict[str, str]) -> dict[str, Any]:
    """Return `address`, `ray_version`, `python_version` and `sockets` (one a node) of the cluster,
    or `error`."""
    command = [sys.executable, "-c", _ASK_CLUSTER, address]
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=CLUSTER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it accepts connections, and says nothing for {CLUSTER_SECONDS} s"}
    if not ended.stdout:
        return {"error": f"Ray's own code ended with exit code {ended.returncode}"}
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def fetch(url: str, token: str = "") -> tuple[int, Any]:
    """Return the status and the JSON of one of the gateway's pages; 0 if nothing came, None for
    what is no JSON."""
    reply = side_by_side(HOST_SECONDS, {url: lambda: _fetch(url, token)})[url]
    return (0, None) if isinstance(reply, Exception) else reply


def _fetch(url: str, token: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        url, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    direct = own_gateway.opener()
    try:
        reply = direct.open(request, timeout=HOST_SECONDS)
    except urllib.error.HTTPError as error:
        reply = error
    with closing(reply):
        try:
            return int(reply.status), json.loads(reply.read(10_000_000))
        except ValueError:
            return int(reply.status), None


def as_url(host: str) -> str:
    """Return `scheme://host:port` of a host or a base URL. A port of its own, but for 443, is taken
    to speak plain HTTP."""
    scheme, _, rest = host.rpartition("://")
    netloc = rest.split("/")[0].rpartition("@")[2]
    if netloc.count(":") > 1 and "[" not in netloc:
        netloc = f"[{netloc}]"  # an IPv6 address, as GATEWAY_UPSTREAM_HOSTS has it
    port = re.search(r":(\d+)$", netloc)
    return f"{scheme or ('http' if port and port[1] != '443' else 'https')}://{netloc}"


def reach(url: str, proxy: EgressProxy | None = None) -> float | None:
    """Connect, through the proxy if there is one, and ask for no page; the seconds by which the
    host's clock is ahead, if it told. Raises OSError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host, port = parts.hostname or "", parts.port
    first = (proxy.host, proxy.port) if proxy else (host, port)
    with closing(kind(*first, timeout=HOST_SECONDS)) as connection:
        if proxy:
            login = base64.b64encode(proxy.login.encode()).decode()
            headers = {"Proxy-Authorization": f"Basic {login}"} if login else {}
            connection.set_tunnel(host, port or kind.default_port, headers)
        try:
            connection.request("HEAD", "/")
            date = connection.getresponse().getheader("Date")
        except http.client.HTTPException:  # it was reached, and does not talk like that
            return None
        with suppress(ValueError):
            return parsedate_to_datetime(date).timestamp() - time.time() if date else None
    return None


def built_in() -> list[str]:
    """Return the base URLs in the providers' files, which are read and not run: importing them
    needs a working Ray."""
    trees = [ast.parse(path.read_text()) for path in sorted(HERE.glob("llm_*.py"))]
    keywords = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    return [ast.literal_eval(node.value) for node in keywords if node.arg == "base_url"]


def side_by_side(seconds: float, calls: Mapping[str, Callable[[], T]]) -> dict[str, T | Exception]:
    """Return what each call gives or raises; TimeoutError for those that take longer than
    `seconds`."""
    results: dict[str, T | Exception] = {name: TimeoutError() for name in calls}

    def run(name: str) -> None:
        try:
            done = calls[name]()
        except Exception as error:
            results[name] = error
        else:
            results[name] = done

    threads = [threading.Thread(target=run, args=[name], daemon=True) for name in calls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(results)


def listeners(port: int) -> dict[str, int]:
    """Return each local address where something listens on `port`, and its process; 0 for one that
    is hidden from us."""
    rows = [
        line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net", name))[1:]
    ]
    sockets = {
        row[9]: row[1]
        for row in rows
        if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
    }
    owners: dict[str, set[int]] = {}
    for handle in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with suppress(OSError):
            inode = os.readlink(handle).removeprefix("socket:[").removesuffix("]")
            if inode in sockets:
                owners.setdefault(inode, set()).add(int(handle.parts[2]))
    return {_address(entry): _first(owners.get(inode, set())) for inode, entry in sockets.items()}


def _first(processes: set[int]) -> int:
    """Return the process that started the others, 0 if there is none: numbers begin anew, so the
    lowest may be a child's."""
    return min((pid for pid in processes if _parent(pid) not in processes), default=0)


def _parent(pid: int) -> int:
    # After the name, which may hold anything, stand the state and the parent's number.
    fields = "".join(_lines(Path(f"/proc/{pid}/stat"))).rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def program(pid: int) -> str:
    """Return a process's name; not its arguments, which may hold a key."""
    return (
        f"{''.join(_lines(Path(f'/proc/{pid}/comm')))}, pid {pid}"
        if pid
        else "another user's program"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _address(entry: str) -> str:
    """Return the kernel writes an address as words in the machine's own byte order."""
    host, _, port = entry.partition(":")
    raw = bytes.fromhex(host)
    words = [
        int.from_bytes(raw[i : i + 4], "big").to_bytes(4, sys.byteorder)
        for i in range(0, len(raw), 4)
    ]
    ip = ip_address(b"".join(words))
    return f"[{ip}]:{int(port, 16)}" if ip.version == 6 else f"{ip}:{int(port, 16)}"
