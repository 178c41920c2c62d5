"""The entries of GATEWAY_NOTIFY: what each is, and that a wrong one is named and never quoted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.notify_targets import Channel, Mail, parse
from gateway.settings import SettingError, load

WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret-7"
DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=secret-7"
FEISHU = "https://open.feishu.cn/open-apis/bot/v2/hook/secret-7"
MAIL = "smtp://gw%40a.example:secret%23-7@mail.example/?to=ops@b.example,boss+x@c.example"

GOOD = {
    WECOM: (Channel.WECOM, "wecom qyapi.weixin.qq.com"),
    DINGTALK: (Channel.DINGTALK, "dingtalk oapi.dingtalk.com"),
    f"{DINGTALK}#SECsecret-8": (Channel.DINGTALK, "dingtalk oapi.dingtalk.com"),
    FEISHU: (Channel.FEISHU, "feishu open.feishu.cn"),
    FEISHU.replace("feishu.cn", "larksuite.com"): (Channel.FEISHU, "feishu open.larksuite.com"),
    "https://user:secret-7@hook.example:8443/a?b=secret-7": (
        Channel.WEBHOOK,
        "webhook hook.example:8443",
    ),
    "http://127.0.0.1:9/secret-7": (Channel.WEBHOOK, "webhook 127.0.0.1:9"),
    "wecom+http://127.0.0.1:9/?key=secret-7": (Channel.WECOM, "wecom 127.0.0.1:9"),
    "dingtalk+https://relay.example/?access_token=secret-7": (
        Channel.DINGTALK,
        "dingtalk relay.example",
    ),
    "WebHook+HTTP://[::1]:9/secret-7": (Channel.WEBHOOK, "webhook [::1]:9"),
    MAIL: (Channel.SMTP, "smtp mail.example"),
    MAIL.replace("smtp:", "smtps:"): (Channel.SMTPS, "smtps mail.example"),
}


@pytest.mark.parametrize("entry", GOOD)
def test_an_entry_is_known_by_its_host_or_kind_and_shows_no_secret(entry: str) -> None:
    [target] = parse(entry)
    assert (target.channel, target.name) == GOOD[entry]
    assert "secret" not in repr(target) + target.digest


def test_a_secret_that_signs_stands_after_the_hash_and_is_not_sent() -> None:
    [target] = parse(f"{FEISHU}#SECsecret%2F8")
    assert (target.url, target.secret) == (FEISHU, "SECsecret/8")


def test_mail_has_its_server_and_addresses() -> None:
    [target] = parse(MAIL)
    recipients = ("ops@b.example", "boss+x@c.example")
    sender = "gw@a.example"
    assert target.mail == Mail("mail.example", 587, sender, "secret#-7", sender, recipients)
    [target] = parse("smtps://mail.example:2465/?from=x@y.example&to=o@b.example")
    assert target.mail == Mail("mail.example", 2465, "", "", "x@y.example", ("o@b.example",))


def test_several_stand_in_lines_or_beside_each_other_and_each_once() -> None:
    text = f"# who is told\n{WECOM} {DINGTALK}\n\n  # {MAIL}\n{WECOM}\n{FEISHU}\n"
    assert [one.channel for one in parse(text)] == ["wecom", "dingtalk", "feishu"]


def test_the_same_group_or_reader_is_known_whatever_its_password() -> None:
    for first, other in (
        (f"{DINGTALK}#one", f"{DINGTALK}#other"),
        (MAIL, MAIL.replace("secret", "x")),
    ):
        assert parse(first)[0].digest == parse(other)[0].digest
    assert parse(WECOM)[0].digest != parse(WECOM + "8")[0].digest
    assert parse(MAIL)[0].digest != parse(MAIL.replace("ops", "oops"))[0].digest


WRONG = [
    "secret-7",
    "ftp://x.example/secret-7",
    "https://",
    "https://secret-7:port/",
    "https://x.example:secret-7/",
    "https://[secret-7/",
    "https://a b".replace(" ", "\x7f") + "secret-7",
    "https://x.example/#secret-7",
    f"{WECOM}#secret-8",
    WECOM.replace("https", "http"),
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?kee=secret-7",
    "https://oapi.dingtalk.com/robot/send?access_token=#secret-7",
    "https://open.feishu.cn/secret-7",
    "slack+https://x.example/secret-7",
    "smtp+https://x.example/secret-7",
    "wecom+ftp://x.example/?key=secret-7",
    "https://x.example/schlüssel-secret-7",
    "smtp://mail.example/?to=o@b.example",
    "smtp://secret-7@mail.example/?to=o@b.example",
    "smtp://a@b.example:secret-7@mail.example/",
    "smtp://a%40b.example:secret-7@mail.example/?to=nobody",
    "smtp://a%40b.example:secret-7@mail.example/?to=o@b.example&cc=secret-7",
    "smtp://a%40b.example:secret/7@mail.example/?to=o@b.example",
    "smtp://a%40b.example:secret%0a7@mail.example/?to=o@b.example",
    "smtp://mail.example/?from=a@b.example%0d%0asecret-7:&to=o@b.example",
]


@pytest.mark.parametrize("entry", WRONG)
def test_a_wrong_entry_stops_the_start_and_is_named_by_its_number(
    entry: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=r"^GATEWAY_NOTIFY, entry 2: .+\.$") as stopped:
        load({"GATEWAY_NOTIFY": f"{WECOM} {entry}"})
    assert "secret" not in str(stopped.value)

    file = tmp_path / "notify"
    file.touch(0o600)
    file.write_text(f"# of ours\n{entry}\n")
    with pytest.raises(SettingError, match=r"^GATEWAY_NOTIFY_FILE, entry 1: .+\.$") as stopped:
        load({"GATEWAY_NOTIFY": WECOM, "GATEWAY_NOTIFY_FILE": str(file)})
    assert "secret" not in str(stopped.value)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "notify"
    file.write_text(WECOM)
    file.chmod(0o644)
    with pytest.raises(
        SettingError, match=r"^GATEWAY_NOTIFY_FILE: others can read .* \(mode 644\)"
    ):
        load({"GATEWAY_NOTIFY_FILE": str(file)})
    file.chmod(0o600)
    assert len(load({"GATEWAY_NOTIFY_FILE": str(file)}).notify) == 1
    with pytest.raises(SettingError, match=r"^GATEWAY_NOTIFY_FILE: cannot read .*: No such file"):
        load({"GATEWAY_NOTIFY_FILE": str(file) + "x"})


def test_nobody_is_told_by_default_and_in_english() -> None:
    settings = load({})
    assert (settings.notify, settings.notify_lang) == ((), "en")
    assert load({"GATEWAY_NOTIFY_LANG": "zh"}).notify_lang == "zh"
    with pytest.raises(SettingError, match=r"^GATEWAY_NOTIFY_LANG is 'fr'"):
        load({"GATEWAY_NOTIFY_LANG": "fr"})


SECRET = "Zq7Zq7Zq7Z"
PIECES = st.sampled_from(
    [
        SECRET,
        "https://",
        "smtp://",
        "wecom+",
        "x.example",
        *"@:/?#&=",
        "key=",
        "to=",
        "from=",
        "[",
        "]",
        "%",
        "%0a",
        " ",
        "\n",
        "\x00",
        "é",
        "a@b.example",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_secret_stands_in_an_error_or_a_repr(text: str) -> None:
    try:
        targets = parse(text)
    except ValueError as error:
        words = str(error)
    else:  # a host's name is what anybody may see
        words = "".join(repr(one).replace(one.name, "") for one in targets)
    assert SECRET.lower() not in words.lower()
