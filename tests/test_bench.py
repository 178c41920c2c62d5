"""The benchmark itself: what its provider answers, what it counts as a failure, and what it
writes."""

from __future__ import annotations

import json
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import plot, report
from bench.contenders import CHAT, DIRECT, V1, direct
from bench.loads import Rounds, Seen
from bench.provider import Provider, provider
from bench.service import free_port
from bench.targets import judged
from bench.wrk import Post, Run, load


@pytest.fixture(scope="module")
def source() -> Iterator[Provider]:
    with provider() as running:
        yield running


def run(per_second: int, p50_ms: float, **errors: int) -> Seen:
    return Seen(Run(per_second, 1.0, p50_ms, p50_ms, errors), cpu_ms=0.0, others=0.0)


def held(front_p50_ms: float, **errors: int) -> Rounds:
    """Three rounds of the held load, on a machine that is slower in each."""
    return [
        {
            DIRECT: run(500, slower * 2000),
            CHAT: run(400, slower * front_p50_ms, **errors),
            V1: run(400, slower * front_p50_ms),
        }
        for slower in (1, 2, 3)
    ]


def test_the_provider_spreads_twenty_words_over_a_stream(source: Provider) -> None:
    post = direct(source).post(200, True)
    request = urllib.request.Request(post.url, json.dumps(post.body).encode(), post.headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        lines = [line for line in reply.read().decode().split("\n\n") if line]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    answer = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )
    assert answer.split() == [f"word{number}" for number in range(1, 21)]
    assert (chunks[-1]["usage"]["completion_tokens"], lines[-1]) == (20, "data: [DONE]")


def test_a_load_counts_what_was_answered(source: Provider) -> None:
    taken = load(direct(source).post(200, False), connections=4, seconds=3)
    assert taken.errors == {}
    assert taken.good > 0
    assert taken.p50_ms >= 200


def test_an_answer_that_is_an_error_is_a_failure_and_not_a_request(source: Provider) -> None:
    taken = load(Post(f"{source.base}/nowhere", {}, {}), connections=1, seconds=1)
    assert (taken.good, set(taken.errors)) == (0, {"status"})
    assert taken.failed > 0


def test_a_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), socketserver.BaseRequestHandler
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        taken = load(
            Post(f"http://127.0.0.1:{server.server_address[1]}/", {}, {}), connections=1, seconds=1
        )
        server.shutdown()
    assert taken.good == 0
    assert taken.failed > 0


def test_a_load_on_a_server_that_is_not_there_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="unable to connect"):
        load(Post(f"http://127.0.0.1:{free_port()}/", {}, {}), connections=1, seconds=1)


def test_a_front_is_judged_by_its_ratio_in_each_round() -> None:
    ratio, _, failures = judged({"held": held(front_p50_ms=2010)})
    assert (ratio.figures, ratio.met) == (("1.00", "1.00"), True)
    assert (failures.figures, failures.met) == (("0", "0"), True)
    missed, slowest, _ = judged({"held": held(front_p50_ms=2200)})
    assert (missed.figures, missed.met) == (("1.10", "1.10"), False)
    assert (slowest.target, slowest.met) == ("p99 at most 1.15 x the provider's own", True)


def test_failures_meet_no_target_however_fast_they_are() -> None:
    ratio, _, failures = judged({"held": held(front_p50_ms=10, status=7)})
    assert not ratio.met
    assert (failures.figures, failures.met) == (("21", "0"), False)


def test_a_document_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    for figures in (r"\1 first", r"\2 second"):
        report.write(figures, document)
        assert (
            document.read_text()
            == f"before\n\n{report.BEGIN}\n\n{figures}\n\n{report.END}\n\nafter\n"
        )
    document.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks its marks"):
        report.write("figures", document)


def test_the_plot_names_every_line_apart_from_the_others() -> None:
    drawn = plot.drawn(
        "a title", "across", "up", {"one": [(1, 2), (10, 30)], "two": [(1, 3), (10, 31)]}
    )
    heights = [
        float(part.split('"')[3])
        for part in drawn.split("\n")
        if ">one<" in part or ">two<" in part
    ]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= plot.LINE_HEIGHT
