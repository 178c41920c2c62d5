"""LibreOffice's WEBSERVICE() in a spreadsheet: `make test-libreoffice`."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import clean_environment
from tests.fronts import RawChat, good
from tests.runtimes import CHINESE, EXAMPLES, SECONDS, TASK, needed
from tests.server import Deploy, Server
from tests.standin.client import StandIn

pytestmark = pytest.mark.skipif(
    os.environ.get("LIBREOFFICE") != "1",
    reason="make test-libreoffice runs it: LibreOffice takes 400 MB",
)

DTD = '"-//OpenOffice.org//DTD OfficeDocument 1.0//EN"'
TRUSTED = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
 <item oor:path="/org.openoffice.Office.Common/Security/Scripting">
  <prop oor:name="SecureURL" oor:op="fuse"><value><it>FOLDER</it></value></prop></item>
 <item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse">
  <value>0</value></prop></item>
</oor:items>"""
"""Links of the documents in a folder are followed. A person would be asked, or sets it in Tools,
Options."""

LIBRARIES = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:libraries PUBLIC {DTD} "libraries.dtd">
<library:libraries xmlns:library="http://openoffice.org/2000/library"
  xmlns:xlink="http://www.w3.org/1999/xlink">
 <library:library library:name="Standard" xlink:href="$(USER)/basic/Standard/script.xlb/"
  xlink:type="simple" library:link="false"/>
</library:libraries>"""
LIBRARY = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:library PUBLIC {DTD} "library.dtd">
<library:library xmlns:library="http://openoffice.org/2000/library" library:name="Standard"
  library:readonly="false" library:passwordprotected="false">
 <library:element library:name="Tests"/></library:library>"""
MACRO = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC {DTD} "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Tests"
  script:language="StarBasic">
Sub Convert(source, target)
  Dim asked(1) As New com.sun.star.beans.PropertyValue
  asked(0).Name = "Hidden": asked(0).Value = True
  asked(1).Name = "UpdateDocMode": asked(1).Value = com.sun.star.document.UpdateDocMode.FULL_UPDATE
  sheet = StarDesktop.loadComponentFromURL(source, "_blank", 0, asked())
  sheet.calculateAll()
  Dim written(1) As New com.sun.star.beans.PropertyValue
  written(0).Name = "FilterName": written(0).Value = "Text - txt - csv (StarCalc)"
  written(1).Name = "FilterOptions": written(1).Value = "44,34,76"
  sheet.storeToURL(target, written())
  sheet.close(True)
End Sub
</script:module>"""
"""What `soffice --convert-to csv` does, and what it lets nobody allow: a document's links are
followed."""

GATEWAY, LAMP = "http://127.0.0.1:8099", "My lamp broke. I want my money back."
"""Cells as an owner finds them."""

Names = Callable[[], str]
Calculate = Callable[[str, dict[str, str]], list[str]]


@pytest.fixture(scope="module")
def by_get(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """A gateway that chats by GET."""
    started = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_ALLOW_GET": "1"}
    )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def user_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new user's, with the macro."""
    folder = tmp_path_factory.mktemp("libreoffice")
    (folder / "user").mkdir()
    trusted = TRUSTED.replace("FOLDER", tmp_path_factory.getbasetemp().as_uri())
    (folder / "user" / "registrymodifications.xcu").write_text(trusted)
    office(folder, "--terminate_after_init")  # it lays a new user's files, over what is there
    basic = folder / "user" / "basic"
    (basic / "script.xlc").write_text(LIBRARIES)
    (basic / "Standard" / "script.xlb").write_text(LIBRARY)
    (basic / "Standard" / "Tests.xba").write_text(MACRO)
    return folder


def office(user_profile: Path, argument: str) -> None:
    """Run LibreOffice without a screen; it always ends with 0."""
    command = (
        needed("soffice"),
        f"-env:UserInstallation={user_profile.as_uri()}",
        "--headless",
        argument,
    )
    environment = {**clean_environment(), "HOME": str(user_profile), "no_proxy": "127.0.0.1"}
    subprocess.run(command, env=environment, check=True, timeout=SECONDS, capture_output=True)


@pytest.fixture
def calculate(user_profile: Path, tmp_path: Path) -> Calculate:
    """Put values into the cells of a sheet of examples/libreoffice/; what its last row shows."""

    def run(name: str, cells: dict[str, str]) -> list[str]:
        text = (EXAMPLES / "libreoffice" / name).read_text()
        for old, new in cells.items():
            assert f"<text:p>{old}</text:p>" in text
            text = text.replace(f"<text:p>{old}</text:p>", f"<text:p>{escape(new)}</text:p>")
        source, target = tmp_path / name, tmp_path / "shown.csv"
        source.write_text(text)
        office(
            user_profile,
            f'macro:///Standard.Tests.Convert("{source.as_uri()}","{target.as_uri()}")',
        )
        return list(csv.reader(target.read_text("utf-8").splitlines()))[-1]

    return run


@pytest.fixture
def answer(calculate: Calculate, by_get: Server) -> Callable[[str, str], str]:
    """Ask a chat by a cell of chat.fods; what it shows."""

    def run(chat_name: str, question: str) -> str:
        cells = {GATEWAY: by_get.url, "local_chat": chat_name, "Say hello.": question}
        return calculate("chat.fods", cells)[1]

    return run


def test_a_cell_asks_once_and_shows_the_answer(
    answer: Callable[[str, str], str], deploy: Deploy, standin: StandIn, key: str
) -> None:
    assert answer(deploy(), CHINESE) == f"openai:{CHINESE}"
    assert [row["body"]["messages"][-1]["content"] for row in standin.requests(key)] == [CHINESE]


def test_the_local_model_answers_a_cell(answer: Callable[[str, str], str], local_chat: str) -> None:
    assert not answer(local_chat, "Hi").startswith(("ERROR", "#", "Err:"))


def test_a_cell_shows_what_is_wrong(answer: Callable[[str, str], str], deploy: Deploy) -> None:
    assert answer("no-such-chat", "Hi").startswith("ERROR NOT_DEPLOYED: ")
    unpaid = deploy(model_name="refuse:openai-insufficient_quota")
    assert answer(unpaid, "Hi").startswith("ERROR PAY_BILL: ")


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("Refund.", "refund: to the cashier"),
        ("other", "other: to the office"),
        ("I cannot say.", "ERROR BAD_ANSWER: "),
    ],
)
def test_a_row_has_a_task_sort_its_mail(
    calculate: Calculate, by_get: Server, raw_chat: RawChat, names: Names, model: str, shown: str
) -> None:
    name, reply = names(), {"format": "text", "status": 200}
    raw_chat.deploy(good(model))
    order = {"chat_name": name, "through": raw_chat.name, "reply": reply, **TASK}
    assert raw_chat.http.post("/task/deploy", json=order).status_code == 200
    cells = {GATEWAY: by_get.url, "sort_mail": name, "Ann": "镕誠", LAMP: CHINESE}

    customer, mail, _, verdict = calculate("task.fods", cells)

    assert (customer, mail) == ("镕誠", CHINESE)
    assert verdict.startswith(shown)
    first, *_ = raw_chat.raw.requests
    prompt = first.json["messages"][-1]["content"]
    assert prompt.startswith(f"Sort this mail of 镕誠: {CHINESE}\n")
    asked_once = 2 if shown.startswith("ERROR") else 1  # what does not fit is asked for once more
    assert len(raw_chat.raw.requests) == asked_once
