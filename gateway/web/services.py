"""What the whole application has one of, and every view uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from flask import current_app, request

from gateway.byte_budget import ByteBudget
from gateway.errors import Code, GatewayError, lacking
from gateway.protocol import CHAT, HOP, ChatRow, PublicConfig
from gateway.providers.provider import Provider
from gateway.settings import Settings
from gateway.web import call
from gateway.web.auth import Authenticator
from gateway.web.failover import Outcome, first_to_answer

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM
    from gateway.web.ledger import Ledger
    from gateway.web.spending import Spending


T = TypeVar("T")


def ask(name: str, how: Callable[[str], T], path: str = CHAT) -> Outcome[T]:
    """Ask a chat, or whoever answers in its place and has the endpoint `path`. Raises
    GatewayError."""
    current = call.current()
    current.chat = name
    chat = through(current.task) or name
    spending().admit(current.caller)
    try:
        return first_to_answer(
            chat,
            lambda name: llm().chain(name, path),
            spending().within_budget(ledger().paying(current.caller, name, how)),
            ledger().turned_away,
        )
    except GatewayError as error:
        raise _without_others(error, path) from error.__cause__


def _without_others(error: GatewayError, path: str) -> GatewayError:
    """Return an error without the names of the chats that have an endpoint, where there are not all
    chats for the caller's token."""
    token = call.current().token
    if error.param == "model" and token and token.chats:
        return lacking(path, error.provider)
    return error


def through(task: PublicConfig | None) -> str:
    """Return the chat that answers a task; "": it is none."""
    return task["task"]["through"] if task and task["task"] else ""


def admit() -> None:
    """Raise GatewayError where no route may answer: for a page that was led here, and for our own
    question."""
    authenticator().admit()
    if (sender := request.headers.get(HOP)) and sender == llm().hop:
        raise GatewayError(
            Code.INVALID_REQUEST,
            "This question came from this gateway itself: its chat's base_url leads back here, to"
            " no provider.",
            "该请求由本网关自己发出：此对话的 base_url 指回了本网关，而不是服务商。",
        )


def caller() -> str:
    """Return whose repeated question is the same one still; "": nobody's, by the operator's
    setting."""
    current = call.current()
    return f"{current.owner} {current.client}" if settings().join_repeats else ""


def own_name() -> str | None:
    """Return the name of the caller, who sees what is its own; None: an admin, or nobody has a
    token, and all is seen."""
    token = call.current().token
    return None if token is None or "admin" in token.scopes else token.name


def require_visible(chat: object) -> None:
    """Raise GatewayError where there is no such chat for the caller's token."""
    token = call.current().token
    if token and isinstance(chat, str) and not token.sees(chat):
        raise GatewayError(Code.NOT_DEPLOYED, chat_name=chat[:64])


def require_all_chats() -> None:
    """Raise GatewayError where there are not all chats for the caller's token."""
    token = call.current().token
    if token and token.chats:
        raise GatewayError(
            Code.FORBIDDEN,
            f"The token {token.name!r} is for some chats only, and this tells of all.",
            f"令牌 {token.name!r} 只能使用部分对话，而此处包含全部对话。",
        )


def models() -> list[ChatRow]:
    """Return the rows of GET /models that there are for the caller, with what was used of their
    budgets. Raises GatewayError."""
    token, rows = call.current().token, spending().with_budgets(llm().models())
    return [row for row in rows if not token or token.sees(row["chat_name"])]


def ledger() -> Ledger:
    """Return what counts for the ledger."""
    ledger: Ledger = current_app.extensions["ledger"]
    return ledger


def spending() -> Spending:
    """Return what callers may use and chats may cost."""
    spending: Spending = current_app.extensions["spending"]
    return spending


def llm() -> GatewayLLM:
    """Return the shared ByzerLLM client."""
    client: GatewayLLM = current_app.extensions["llm"]
    return client


def settings() -> Settings:
    """Return what the operator set."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def authenticator() -> Authenticator:
    """Return what checks tokens."""
    authenticator: Authenticator = current_app.extensions["authenticator"]
    return authenticator


def questions() -> ByteBudget:
    """Return the budget of bytes for large questions."""
    budget: ByteBudget = current_app.extensions["questions"]
    return budget


def providers() -> dict[str, Provider]:
    """Return the providers by name, which is their blueprint's."""
    table: dict[str, Provider] = current_app.extensions.setdefault("providers", {})
    return table
