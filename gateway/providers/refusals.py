"""What a provider's "no" means: the code of ours that tells who must act, beside the provider's own
code and words. Pure."""

from __future__ import annotations

import html
import re
from typing import Any, NamedTuple

from gateway.errors import TIMED, Code
from gateway.providers.complaints import document, statement
from gateway.providers.dialects import Dialect, meaning, standing_for
from gateway.providers.documents import PAGE
from gateway.providers.question_texts import QuestionTexts
from gateway.providers.waits import wait_said

_TITLE = re.compile(r"<(?:title|h1)[^>]*>(.*?)</", re.I | re.S)


class Refusal(NamedTuple):
    """Why there is no answer. `provider_code` and `message` are the provider's own; `detail` is our
    reading of it, and `wait` how long it asks to wait, as it wrote that."""

    code: Code
    provider_code: str = ""
    message: str = ""
    detail: str = ""
    detail_zh: str = ""
    wait: str = ""


def refusal(
    dialect: Dialect, status: int, raw: bytes, label: str = "", question: bytes = b""
) -> Refusal:
    """Read a refusal of HTTP `status` with the body `raw`, as far as that came; `question` is the
    request's body."""
    return judged(dialect, status, document(raw, label), question)


def judged(dialect: Dialect, status: int, body: Any, question: bytes = b"") -> Refusal:
    """Say what a refusal means. `status` is HTTP's; that of an error inside a success is what the
    error itself says."""
    if isinstance(body, str) and PAGE.match(body):
        return _page(status, body)
    texts = QuestionTexts(question)
    complaint = statement(body, texts)
    if status < 300:
        status = complaint.status or standing_for(complaint.codes) or 500
    code = meaning(dialect, complaint.codes, complaint.words, status, texts)
    if status in (404, 405) and code == Code.BAD_UPSTREAM_REQUEST:
        return Refusal(code, complaint.code, complaint.words, *_NO_SUCH_PATH)
    if status == 403 and code == Code.PROVIDER_DOWN:
        return Refusal(code, complaint.code, complaint.words, *_NO_ACCESS)
    wait = ""
    if code in TIMED:
        wait = complaint.wait or wait_said(complaint.words, texts)
    return Refusal(code, complaint.code, complaint.words, wait=wait)


_NO_SUCH_PATH = (
    "The provider has no such address: check base_url.",
    "服务商没有该地址：请检查 base_url。",
)
_NO_ACCESS = (
    "The provider, or something before it, refuses access (403) for no reason that is known.",
    "服务商（或其前面的防火墙）以未知原因拒绝访问（403）。",
)
_A_PAGE = (
    (
        "A web page came instead of an answer: check base_url, and whether the provider can be"
        " reached from here."
    ),
    "返回的是网页而不是回答：请检查 base_url，以及此处能否访问服务商。",
)


def _page(status: int, page: str) -> Refusal:
    """Return a web page speaks for a proxy or a firewall; its words are not looked at, since it may
    say anything."""
    code = meaning(Dialect(), (), "", status) if status >= 300 else Code.PROVIDER_DOWN
    title = _TITLE.search(page)
    words = html.unescape(re.sub(r"\s+", " ", title[1])).strip() if title else "HTML"
    return Refusal(code, "", words, *(_NO_SUCH_PATH if status == 404 else _A_PAGE))
