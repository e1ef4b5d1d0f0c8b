import sys
import time

from tests.support.programs import run_beside

HUNG = """
import asyncio, logging, threading
from vouch.server.forced_exit import end_within

logging.basicConfig()

async def main():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    end_within({seconds})

asyncio.run(main())
"""
"""A program in which a thread never returns, which asyncio waits for at its end."""


def test_a_process_ends_though_a_thread_of_it_never_returns() -> None:
    """With code 1, and a line that says so."""
    with run_beside(sys.executable, "-c", HUNG.format(seconds=0.2)) as program:
        assert program.ended() == 1

    assert "did not end within 0.2 s" in program.err.text


def test_a_process_that_ends_by_itself_need_not_wait() -> None:
    """It ends with its own code, at once."""
    began = time.monotonic()
    code = "from vouch.server.forced_exit import end_within; end_within(3600)"
    with run_beside(sys.executable, "-c", code) as program:
        assert program.ended() == 0

    assert time.monotonic() - began < 3600
    assert program.err.text == ""
