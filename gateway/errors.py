"""The gateway's errors: every way to fail, what it means, who must act, and the one shape they
have.

An error is raised low, where its cause is known, and rendered once (gateway/web/replies.py). It
crosses Ray as plain data (`GatewayError.as_dict`), since exceptions of other libraries often do not
unpickle on the far side.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from gateway.frames import Usage

PROVIDER_MESSAGE_CHARACTERS = 300
"""A provider's own words are cut to this length."""

SECRET_CHARACTERS = 12
"""No word is so long by chance as to hold a key of this length."""

SHOWN_NAMES = 20
"""So many chats are named in an error."""

RETRY_AFTER_SECONDS = 2
"""What Retry-After says where the provider named no time of its own."""

# Anything that looks like a credential: OpenAI's and DashScope's sk-..., Zhipu's <id>.<secret>, a
# Bearer header.
_KEY_LIKE = re.compile(r"\bsk-[\w*.\-]{4,}|\b[0-9a-f]{32}\.\w{8,}|\bbearer\s+\S+", re.IGNORECASE)


class Code(StrEnum):
    """Who must act; the table in docs/errors.md says it for operators."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    PAY_BILL = "PAY_BILL"
    NOT_DEPLOYED = "NOT_DEPLOYED"
    TOO_LARGE = "TOO_LARGE"
    CONTENT_BLOCKED = "CONTENT_BLOCKED"
    OVER_LIMIT = "OVER_LIMIT"
    OVER_BUDGET = "OVER_BUDGET"
    SLOW_DOWN = "SLOW_DOWN"
    BAD_KEY = "BAD_KEY"
    NO_SUCH_MODEL = "NO_SUCH_MODEL"
    BAD_UPSTREAM_REQUEST = "BAD_UPSTREAM_REQUEST"
    PROVIDER_DOWN = "PROVIDER_DOWN"
    BAD_ANSWER = "BAD_ANSWER"
    NEED_KEY = "NEED_KEY"
    PROVIDER_BUSY = "PROVIDER_BUSY"
    GATEWAY_BUSY = "GATEWAY_BUSY"
    CLUSTER_DOWN = "CLUSTER_DOWN"
    TIMEOUT = "TIMEOUT"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code's HTTP status, and what to tell people: what happened, and what to do next."""

    status: int
    message: str
    message_zh: str


MEANINGS: dict[Code, Meaning] = {
    Code.INVALID_REQUEST: Meaning(400, "Correct the request.", "请修改请求。"),
    Code.UNAUTHORIZED: Meaning(
        401,
        "This gateway needs a token: send it as Authorization: Bearer, as the password of HTTP"
        " Basic, or as X-Api-Key.",
        "访问本网关需要令牌：请用 Authorization: Bearer、HTTP Basic 的密码或 X-Api-Key 发送。",
    ),
    Code.FORBIDDEN: Meaning(
        403,
        "Only the operator can allow that.",
        "只有管理员可以允许此操作。",
    ),
    Code.PAY_BILL: Meaning(
        402,
        "The provider says the account is unpaid or out of credit. Pay the bill, or deploy another"
        " provider under this chat name.",
        "服务商表示账户欠费或额度已用完。请充值，或在此对话名下部署另一家服务商。",
    ),
    Code.NOT_DEPLOYED: Meaning(
        404,
        "No chat of this name is deployed. Deploy it with POST /<provider>/deploy; GET /models"
        " lists those there are.",
        "没有部署此名称的对话。请用 POST /<provider>/deploy 部署；GET /models 可列出已有的对话。",
    ),
    Code.TOO_LARGE: Meaning(413, "The text is too long. Shorten it.", "内容过长，请缩短后重试。"),
    Code.CONTENT_BLOCKED: Meaning(
        422,
        "The provider's content filter refused this text. Rephrase it.",
        "服务商的内容审核拒绝了该内容，请换一种说法。",
    ),
    Code.OVER_LIMIT: Meaning(
        429,
        "Wait as long as Retry-After says, or ask the operator for more.",
        "请按 Retry-After 等待，或请管理员提高上限。",
    ),
    Code.OVER_BUDGET: Meaning(
        402,
        "This chat answers again when the next day or month begins. The operator can deploy it with"
        " a larger budget, or name a fallback.",
        "下一天或下个月开始时会恢复。管理员可以用更大的 budget 重新部署，或设置后备对话。",
    ),
    Code.SLOW_DOWN: Meaning(
        429,
        "The provider's rate limit is reached. Wait as long as Retry-After says, then try again.",
        "已达到服务商的速率限制。请按 Retry-After 等待后重试。",
    ),
    Code.BAD_KEY: Meaning(
        502,
        "The provider refused the API key. Deploy this chat again with a valid key.",
        "服务商拒绝了 API key。请用有效的 key 重新部署此对话。",
    ),
    Code.NO_SUCH_MODEL: Meaning(
        502,
        "The provider does not know this model. Deploy this chat again with a model_name that it"
        " offers.",
        "服务商没有该模型。请用其提供的 model_name 重新部署此对话。",
    ),
    Code.BAD_UPSTREAM_REQUEST: Meaning(
        502,
        "The provider refused the request as malformed. Look at provider_message; check model_name,"
        " base_url and the options sent.",
        "服务商认为请求有误。请查看 provider_message，并检查 model_name、base_url 与所传参数。",
    ),
    Code.PROVIDER_DOWN: Meaning(
        502,
        "The provider cannot be reached or gave no usable answer. Try again later, or deploy"
        " another provider under this chat name.",
        "无法连接服务商或其未给出可用的回答。请稍后重试，或在此对话名下部署另一家服务商。",
    ),
    Code.BAD_ANSWER: Meaning(
        502,
        "The model did not give the form of answer that was asked for, twice. Look at"
        " provider_message; ask more plainly, or deploy a stronger model under this chat name.",
        "模型两次都没有按要求的形式回答。请查看 provider_message，把问题写得更明确，"
        "或在此对话名下部署更强的模型。",
    ),
    Code.NEED_KEY: Meaning(
        503,
        "The cluster was restarted and this chat's key is gone, by design. Deploy the chat again"
        " with its key.",
        "集群已重启，此对话的 key 按设计不会保存。请带上 key 重新部署此对话。",
    ),
    Code.PROVIDER_BUSY: Meaning(
        503,
        "The provider is overloaded. Wait as long as Retry-After says, then try again.",
        "服务商过载。请按 Retry-After 等待后重试。",
    ),
    Code.GATEWAY_BUSY: Meaning(
        503,
        "The gateway is at its limit of chats in flight. Wait as long as Retry-After says, then try"
        " again.",
        "网关同时处理的对话已达上限。请按 Retry-After 等待后重试。",
    ),
    Code.CLUSTER_DOWN: Meaning(
        503,
        "The Ray cluster does not answer. The gateway reconnects by itself; if this lasts, look at"
        " Ray on its machine.",
        "Ray 集群没有响应。网关会自动重连；若持续如此，请检查运行 Ray 的机器。",
    ),
    Code.TIMEOUT: Meaning(
        504,
        "The provider did not answer in time. Try again, or deploy this chat with a larger"
        " timeout.",
        "服务商未在时限内回答。请重试，或用更大的 timeout 重新部署此对话。",
    ),
    Code.INTERNAL: Meaning(
        500,
        "The gateway failed. It is in the gateway's log, under this request_id: please report it.",
        "网关内部错误。网关日志中有此 request_id 的记录，请反馈给我们。",
    ),
}

OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""What the kernel says when this process, or the machine, has as many files and connections open as
it may."""

WAIT = {
    Code.SLOW_DOWN,
    Code.PROVIDER_BUSY,
    Code.GATEWAY_BUSY,
    Code.CLUSTER_DOWN,
    Code.OVER_LIMIT,
}
"""The codes whose replies carry Retry-After."""


PERMANENT = {
    Code.PAY_BILL,
    Code.OVER_BUDGET,
    Code.BAD_KEY,
    Code.NO_SUCH_MODEL,
    Code.BAD_UPSTREAM_REQUEST,
    Code.BAD_ANSWER,
    Code.NEED_KEY,
    Code.INTERNAL,
}
"""The codes of which the openai SDKs must not try again by themselves, whatever the HTTP status."""

LASTING = frozenset({Code.PAY_BILL, Code.BAD_KEY})
"""The codes that last until somebody acts: a chat rests with them."""

TIMED = frozenset({Code.SLOW_DOWN, Code.PROVIDER_BUSY})
"""The codes that pass by themselves: a chat rests with them for as long as its provider says."""

NO_ANSWER = frozenset({Code.PROVIDER_DOWN, Code.TIMEOUT, Code.GATEWAY_BUSY, Code.INTERNAL})
"""The codes by which nobody learns what the provider would have said."""


class ErrorRecord(TypedDict):
    """A GatewayError as plain data, which crosses Ray and is kept for jobs."""

    code: str
    detail: str
    detail_zh: str
    status: int
    param: str
    chat_name: str
    provider: str
    provider_status: int | None
    provider_code: str
    provider_message: str
    retry_after: float | None
    headers: dict[str, str]


class GatewayError(Exception):
    """A failure that a caller is told about: a code of `MEANINGS` and what is known of its cause.

    `detail` (and `detail_zh`) stand before the code's own message; `status` overrides its HTTP
    status. `param` is the field that was wrong. `retry_after` is in seconds. `provider_message` is
    given already cleaned (`clean`). `usage` is what was taken of a provider all the same, as far as
    it is known here: no record has it.
    """

    usage: Usage | None = None

    def __init__(
        self,
        code: Code | str,
        detail: str = "",
        detail_zh: str = "",
        *,
        status: int | None = None,
        param: str = "",
        chat_name: str = "",
        provider: str = "",
        provider_status: int | None = None,
        provider_code: str = "",
        provider_message: str = "",
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = Code(code)
        self.detail = detail
        self.detail_zh = detail_zh or detail
        self.status = status or MEANINGS[self.code].status
        self.param = param
        self.chat_name = chat_name
        self.provider = provider
        self.provider_status = provider_status
        self.provider_code = provider_code
        self.provider_message = provider_message
        self.retry_after = retry_after
        self.headers = headers or {}

    def as_dict(self) -> ErrorRecord:
        """Return the error as plain data, of which `from_dict` makes the error again."""
        return ErrorRecord(
            code=self.code.value,
            detail=self.detail,
            detail_zh=self.detail_zh,
            status=self.status,
            param=self.param,
            chat_name=self.chat_name,
            provider=self.provider,
            provider_status=self.provider_status,
            provider_code=self.provider_code,
            provider_message=self.provider_message,
            retry_after=self.retry_after,
            headers=self.headers,
        )

    @classmethod
    def from_dict(cls, record: ErrorRecord) -> GatewayError:
        """Return the error of which `as_dict` made a record."""
        return cls(**record)

    def shape(self, request_id: str) -> dict[str, Any]:
        """Return the body that every failed request gets, whatever failed."""
        meaning = MEANINGS[self.code]
        return {
            "error": {
                "code": self.code,
                "message": f"{self.detail} {meaning.message}".strip(),
                "message_zh": f"{self.detail_zh} {meaning.message_zh}".strip(),
                "chat_name": self.chat_name or None,
                "provider": self.provider or None,
                "provider_status": self.provider_status,
                "provider_code": self.provider_code or None,
                "provider_message": self.provider_message or None,
                "request_id": request_id,
            }
        }

    def words(self, lang: str) -> str:
        """Return the same for those who read no JSON: `ERROR CODE: ` and what to do. `lang` is en
        or zh."""
        message, message_zh = quoted(self.shape("")["error"])
        return f"ERROR {self.code}: {message_zh if lang == 'zh' else message}"


def quoted(error: dict[str, Any]) -> tuple[str, str]:
    """Return an error's messages with what the provider said."""
    message, message_zh, words = error["message"], error["message_zh"], error["provider_message"]
    if not words:
        return message, message_zh
    return f"{message} The provider says: {words}", f"{message_zh} 服务商返回：{words}"


def clean(text: str, secret: str = "") -> str:
    """Return a provider's words, cut short and without anything that looks like a key; `secret` is
    the key itself.

    A key that is short enough to be part of other words leaves those alone.
    """
    if len(secret) >= SECRET_CHARACTERS:
        text = text.replace(secret, "[key]")
    elif secret:
        text = re.sub(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", "[key]", text)
    return _KEY_LIKE.sub("[key]", text)[:PROVIDER_MESSAGE_CHARACTERS]


def lacking(path: str, provider: str, names: Sequence[str] = ()) -> GatewayError:
    """Return the error of a chat whose provider has no endpoint `path`; `names` are the chats that
    do."""
    others, others_zh = ", ".join(names[:SHOWN_NAMES]), "、".join(names[:SHOWN_NAMES])
    return GatewayError(
        Code.INVALID_REQUEST,
        f"model: its provider, {provider}, has no {path}"
        + (f"; chats that have it: {others}." if names else "; no chat has it."),
        f"model：其服务商 {provider} 没有 {path}"
        + (f"；有该接口的对话：{others_zh}。" if names else "；没有任何对话有该接口。"),
        param="model",
        provider=provider,
    )


def out_of_files() -> GatewayError:
    """Return the error of a request for which no file or connection can be opened."""
    words = "This gateway process has as many files and connections open as it may (ulimit -n)."
    return GatewayError(
        Code.GATEWAY_BUSY, words, "网关进程打开的文件与连接数已达上限（ulimit -n）。"
    )


def client_left(chat_name: str = "") -> GatewayError:
    """Return the error of a question whose client waits for it no more; only the log shows it."""
    words, words_zh = "The client hung up before its answer came.", "客户端在得到回答之前已断开。"
    return GatewayError(Code.INVALID_REQUEST, words, words_zh, chat_name=chat_name)


def too_many_bytes(chat_name: str = "", provider: str = "") -> GatewayError:
    """Return the error of a question or an answer for which a process has no room beside those that
    it holds."""
    words = (
        "This process holds as many bytes of large questions and answers as it may; small ones"
        " go on."
    )
    words_zh = "本进程中大型问题与回答的字节数已达上限；较小的请求仍会处理。"
    return GatewayError(Code.GATEWAY_BUSY, words, words_zh, chat_name=chat_name, provider=provider)
