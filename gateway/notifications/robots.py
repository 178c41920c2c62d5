"""What a robot or a webhook is sent, and what its answer means. Pure.

The robots refuse with HTTP 200 and a code in the body: their rules stand in tables here. Of their
own words nothing is passed on: they may quote the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, NamedTuple
from urllib.parse import quote

from gateway.notifications.sentences import Letter
from gateway.notify_targets import Channel, Target

MOST_BYTES = {Channel.WECOM: 2048}
"""Of a text. DingTalk and Feishu take 20 kB of JSON."""

OTHERS_BYTES = 12_000
A_MINUTE = 60.0
TEN_MINUTES = 630.0


class Verdict(NamedTuple):
    """What became of a message. `reason` is why it was not taken, and what to do ("": it was), and
    `wait` for how many seconds nothing more may be sent, where that was said. `lost`: it was taken,
    but not for all who were to read it."""

    reason: str = ""
    wait: float = 0.0
    lost: str = ""


TAKEN = Verdict()

REFUSALS: dict[Channel, dict[int, Verdict]] = {
    Channel.WECOM: {
        93000: Verdict("the key in its URL is wrong: copy the robot's webhook address again"),
        45009: Verdict("it was sent too much: it is tried again in a minute", A_MINUTE),
    },
    Channel.DINGTALK: {
        130101: Verdict("it was sent too much, and takes nothing for ten minutes", TEN_MINUTES),
        410100: Verdict("it was sent too much, and takes nothing for ten minutes", TEN_MINUTES),
        310000: Verdict(
            "its security settings refuse this: give its secret after # in the URL, take Byzer-LLM"
            " as its keyword, or list this machine's address there"
        ),
        300001: Verdict("it does not know this access_token: copy the webhook address again"),
        300005: Verdict("it does not know this access_token: copy the webhook address again"),
    },
    Channel.FEISHU: {
        11232: Verdict("it was sent too much: it is tried again in a minute", A_MINUTE),
        9499: Verdict("it was sent too much, or minds the message", A_MINUTE),
        19001: Verdict("it does not know the end of this URL: copy the webhook address again"),
        19021: Verdict(
            "it refuses the signature: give its secret after # in the URL, and look at this"
            " machine's clock"
        ),
        19022: Verdict("it does not list this machine's address: add it in its security settings"),
        19024: Verdict("it wants another keyword: take Byzer-LLM as its keyword"),
        19036: Verdict("it says that the message is too long"),
    },
}
"""By the code in the answer. From the robots' own documents, as they were in November 2026."""

CODES = ("errcode", "code", "StatusCode")
"""Where it stands: WeCom's and DingTalk's, and Feishu's new and old."""

DINGTALK_TOO_FAST = 1111
"""DingTalk's `status`, in an answer without a code, where it blocks whoever sent too fast."""


def address(target: Target, now: float) -> str:
    """Return where to send to, signed where DingTalk has a secret."""
    if target.channel != Channel.DINGTALK or not target.secret:
        return target.url
    moment = str(int(now * 1000))
    sign = _signature(target.secret, f"{moment}\n{target.secret}")
    return f"{target.url}&timestamp={moment}&sign={quote(sign, safe='')}"


def body(target: Target, letter: Letter, now: float) -> bytes:
    """Return what to send, signed where Feishu has a secret."""
    text = letter.text(MOST_BYTES.get(target.channel, OTHERS_BYTES))
    fields: dict[str, Any]
    match target.channel:
        case Channel.FEISHU:
            fields = {"msg_type": "text", "content": {"text": text}}
            if target.secret:
                moment = str(int(now))
                sign = _signature(f"{moment}\n{target.secret}", "")
                fields |= {"timestamp": moment, "sign": sign}
        case Channel.WECOM | Channel.DINGTALK:
            fields = {"msgtype": "text", "text": {"content": text}}
        case _:
            fields = {"text": text, "conditions": letter.conditions}
    return json.dumps(fields, ensure_ascii=False).encode()


def verdict(channel: Channel, status: int, content: bytes) -> Verdict:
    """Return what an answer means."""
    fields = _json(content) if channel in REFUSALS else {}
    code = next((fields[name] for name in CODES if isinstance(fields.get(name), int)), None)
    if channel == Channel.DINGTALK and fields.get("status") == DINGTALK_TOO_FAST:
        code = 130101
    if code:
        row = REFUSALS[channel].get(code, Verdict("see the robot's documents"))
        return Verdict(f"it refuses with code {code}: {row.reason}", row.wait)
    if 300 <= status < 400:
        return Verdict(f"it answers HTTP {status} and leads elsewhere, which is not followed")
    if not 200 <= status < 300:
        return Verdict(f"it answers HTTP {status}", A_MINUTE if status == 429 else 0.0)
    if channel in REFUSALS and code is None:
        return Verdict("its answer is none of such a robot's: look at the URL")
    return TAKEN


def _json(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _signature(key: str, message: str) -> str:
    return base64.b64encode(
        hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()
    ).decode()
