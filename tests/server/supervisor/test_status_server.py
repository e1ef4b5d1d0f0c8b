import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import vouch.server.supervisor.status_server
from vouch.server.errors import StartFailed
from vouch.server.supervisor.status_server import MAX_HEAD_BYTES, StatusServer


async def one(_: str) -> tuple[str, bytes]:
    return "text/plain; of=test", b"one 1.0\n"


@asynccontextmanager
async def exposing(
    told: vouch.server.supervisor.status_server.Told = one, ready: Callable[[], bool] = lambda: True
) -> AsyncIterator[int]:
    status = await StatusServer.start("127.0.0.1", 0, told, ready)
    try:
        yield status.port
    finally:
        await status.stop()


async def ask(port: int, request: bytes) -> tuple[str, dict[str, str], str]:
    """Status, headers and content of what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(20):
        answer = (await reader.read()).decode()
    writer.close()
    head, _, content = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), content


async def test_prometheus_gets_its_text() -> None:
    """Whole, with its type and length; what stands behind a question mark changes nothing."""
    async with exposing() as port:
        for path in (b"/metrics", b"/metrics?name=one"):
            status, headers, content = await ask(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")

            assert status == "HTTP/1.1 200 OK"
            assert headers["Content-Type"] == "text/plain; of=test"
            assert int(headers["Content-Length"]) == len(content)
            assert content == "one 1.0\n"


async def test_what_is_accepted_is_passed_on() -> None:
    """However the header is written, and in how many lines."""
    heard: list[str] = []

    async def told(accepted: str) -> tuple[str, bytes]:
        heard.append(accepted)
        return "text/plain", b""

    async with exposing(told) as port:
        await ask(port, b"GET /metrics HTTP/1.1\r\nACCEPT: a/b;q=0.5\r\nHost: x\r\naccept: c/d\r\n\r\n")

    assert heard == [" a/b;q=0.5, c/d"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"nonsense\r\n\r\n", "400"),
        (b"\x16\x03\x01 \xff HTTP/2\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", "431"),
    ],
)
async def test_what_is_no_question_for_metrics_is_told_so(request_: bytes, status: str) -> None:
    """In HTTP's words; the next one is answered."""
    async with exposing() as port:
        assert (await ask(port, request_))[0].split()[1] == status
        assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))[0].endswith("200 OK")


@pytest.mark.parametrize("path", [b"/metrics", b"/ready"])
async def test_whoever_only_asks_for_the_head_gets_it(path: bytes) -> None:
    """As monitors do: the length is that of the content, which is not there."""
    async with exposing() as port:
        whole = await ask(port, b"GET " + path + b" HTTP/1.1\r\n\r\n")
        assert await ask(port, b"HEAD " + path + b" HTTP/1.1\r\n\r\n") == (*whole[:2], "")


async def test_one_who_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the answer is not kept for them."""

    async def much(_: str) -> tuple[str, bytes]:
        return "text/plain", bytes(20_000_000)

    monkeypatch.setattr(vouch.server.supervisor.status_server, "WITHIN_S", 0.5)
    async with exposing(much) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await asyncio.sleep(vouch.server.supervisor.status_server.WITHIN_S + 0.5)
        async with asyncio.timeout(20):
            head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()

    assert len(content) < int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])


async def test_one_who_says_nothing_or_leaves_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A silent connection is closed after a while, and is no error of ours."""
    monkeypatch.setattr(vouch.server.supervisor.status_server, "WITHIN_S", 0.05)
    with caplog.at_level(logging.ERROR):
        async with exposing() as port:
            _, gone = await asyncio.open_connection("127.0.0.1", port)
            gone.write(b"GET /met")
            gone.close()

            assert (await ask(port, b"GET /met"))[0] == ""

    assert caplog.text == ""


async def test_a_bug_ends_one_answer_and_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The server of metrics goes on."""
    failing = [True]

    async def told(accepted: str) -> tuple[str, bytes]:
        if failing.pop() if failing else False:
            raise ZeroDivisionError
        return await one(accepted)

    async with exposing(told) as port:
        with caplog.at_level(logging.ERROR):
            assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))[0].split()[1] == "500"
        assert "ZeroDivisionError" in caplog.text
        assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))[0].split()[1] == "200"


async def test_a_balancer_is_told_whether_calls_should_come_here() -> None:
    """Asked anew each time: 200 and 503 are what balancers look at."""
    answers = iter((False, True, False))
    async with exposing(ready=lambda: next(answers)) as port:
        told = [(await ask(port, b"GET /ready HTTP/1.1\r\n\r\n"))[0].split()[1] for _ in range(3)]

    assert told == ["503", "200", "503"]


async def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    """One line, before any worker is started in vain."""
    async with exposing() as port:
        with pytest.raises(
            StartFailed,
            match=f"cannot listen on 127.0.0.1:{port}: another program uses this port, for metrics; --metrics-port",
        ):
            await StatusServer.start("127.0.0.1", port, one, lambda: True)


async def test_stopping_gives_up_what_is_being_answered() -> None:
    """The end of the server does not wait for a slow scrape."""
    asked = asyncio.Event()

    async def never(_: str) -> tuple[str, bytes]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    status = await StatusServer.start("127.0.0.1", 0, never, lambda: True)
    asking = asyncio.create_task(ask(status.port, b"GET /metrics HTTP/1.1\r\n\r\n"))
    await asked.wait()
    async with asyncio.timeout(5):
        await status.stop()

        assert (await asking)[0] == ""
