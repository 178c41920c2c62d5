"""Lines of tokens: what they say, and what is wrong with them, never quoting a token."""

from __future__ import annotations

import pytest

from gateway.tokens import Limit, check_all, digest, parse_token

SECRET = "s3cret-5d41402a"


@pytest.mark.parametrize(
    "scopes",
    ["chat", "admin", "chat,admin", "admin, chat", " chat , admin ", "chat\tchats=a limit=1/day"],
)
def test_a_line_is_a_name_a_token_and_scopes(scopes: str) -> None:
    token = parse_token(f"shop:{SECRET}:{scopes}")
    assert (token.name, token.digest) == ("shop", digest(SECRET))
    assert token.scopes == {
        scope for scope in ("chat", "admin") if scope in scopes.split("chats")[0]
    }


def test_a_token_may_hold_colons_and_equals_signs() -> None:
    assert parse_token("shop:a:b=c d:e=f12:chat").digest == digest("a:b=c d:e=f12")


def test_a_line_may_say_which_chats_there_are() -> None:
    token = parse_token(f"shop:{SECRET}:chat chats=shop_*,sort_mail")
    names = ("shop_1", "shop_", "sort_mail", "shop", "sort_mail2", "xshop_1", "SHOP_1", "")
    assert [name for name in names if token.sees(name)] == ["shop_1", "shop_", "sort_mail"]
    assert parse_token(f"shop:{SECRET}:chat").sees("anything")


def test_a_line_may_say_how_much_may_be_used() -> None:
    limits = "60/min,5000/day,200000tokens/day,3tokens/month,50CNY/month,0.5USD/day"
    token = parse_token(f"shop:{SECRET}:chat limit={limits}")
    assert token.limits == (
        Limit(60, "requests", "min"),
        Limit(5000, "requests", "day"),
        Limit(200_000, "tokens", "day"),
        Limit(3, "tokens", "month"),
        Limit(50, "CNY", "month"),
        Limit(0.5, "USD", "day"),
    )
    assert ",".join(map(str, token.limits)) == limits


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"shop:{SECRET}:chat limit=60/min limit=5000/day", "stands there twice"),
        (f"shop:{SECRET}:chat chats=sort_mail chats=*", "stands there twice"),
        ("", "name:token:scopes"),
        ("shop", "name:token:scopes"),
        (f"{SECRET}:chat", "name:token:scopes"),
        (f"shop:{SECRET}:", "name:token:scopes"),
        (f"shop:{SECRET}:chat,root", "name:token:scopes"),
        ("shop:short:chat", "shorter than 8"),
        ("shop:s3cret-5d41402ä:chat", "must be ASCII"),
        (f"shop:{SECRET}:chat rate=5", "rate= is none of chats= and limit="),
        (f"shop:{SECRET}:chat limit=", "limit=: it must be such as 60/min"),
        (f"shop:{SECRET}:chat limit=60", "limit=60: it must be such as"),
        (f"shop:{SECRET}:chat limit=60/hour", "limit=60/hour: it must be such as"),
        (f"shop:{SECRET}:chat limit=-1/day", "limit=-1/day: it must be such as"),
        (f"shop:{SECRET}:chat limit=0/day", "whole number, 1 or more"),
        (f"shop:{SECRET}:chat limit=0.5tokens/day", "whole number, 1 or more"),
        (f"shop:{SECRET}:chat limit=5tokens/min", "only requests are counted by the minute"),
        (f"shop:{SECRET}:chat limit=100001/min", "100000 or less"),
        (f"shop:{SECRET}:chat limit=5cny/day", "limit=5cny/day: it must be such as"),
        (f"shop:{SECRET}:chat chats=", "chats= must be chat names"),
        (f"shop:{SECRET}:chat chats=a,,b", "chats= must be chat names"),
        (f"shop:{SECRET}:chat chats=[ab]", "chats= must be chat names"),
        (f"shop:{SECRET}:chat,admin limit=5/day", "leave out one or the other"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_quotes_no_token(line: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_token(line)
    assert words in str(error.value)
    assert SECRET not in str(error.value)


def test_no_token_stands_twice_and_a_name_has_one_set_of_limits() -> None:
    old, new = (
        parse_token(f"shop:{SECRET}:chat limit=5/day"),
        parse_token(f"shop:{SECRET}2:chat limit=5/day"),
    )
    check_all([old, new])
    with pytest.raises(ValueError, match="stands there twice"):
        check_all([old, old])
    with pytest.raises(ValueError, match="two tokens are named 'shop', and their limits differ"):
        check_all([old, parse_token(f"shop:{SECRET}3:chat")])
