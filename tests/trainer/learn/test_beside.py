from itertools import count
from threading import Event, current_thread, main_thread

import pytest

from vouch.trainer.learn.beside import Told, beside

WAIT_S = 10


def test_work_is_done_while_the_block_runs() -> None:
    """In another thread, and what it tells on the way is told to whoever waits."""
    begun, go_on, told = Event(), Event(), list[tuple[int, int]]()

    def work(tell: Told) -> str:
        tell(1, 2)
        begun.set()
        assert go_on.wait(WAIT_S)
        return current_thread().name

    def show(done: int, of: int) -> None:
        told.append((done, of))
        go_on.set()

    with beside(work, now=True) as found:
        assert begun.wait(WAIT_S)
        name = found.result(show)

    assert name.startswith("beside")
    assert told[0] == (1, 2)


def test_work_that_has_not_begun_is_done_when_it_is_asked_for() -> None:
    """Here, and it tells of its progress itself."""
    told = list[tuple[int, int]]()

    def work(tell: Told) -> bool:
        tell(3, 4)
        return current_thread() is main_thread()

    with beside(work, now=False) as found:
        assert not told
        assert found.result(lambda *step: told.append(step))

    assert told == [(3, 4)]


def test_where_the_block_fails_the_work_ends() -> None:
    """After its next step, so that nobody waits for what nobody wants."""
    begun, ended = Event(), Event()

    def work(tell: Told) -> None:
        begun.set()
        try:
            for number in count():  # for ever
                tell(number, 1)
        finally:
            ended.set()

    def interrupted() -> None:
        with beside(work, now=True):
            assert begun.wait(WAIT_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended.is_set()


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("no")])
def test_what_the_work_raises_is_raised(error: Exception) -> None:
    """Where its result is asked for; that a disk has answered too late is no sign that the work goes on."""
    looks = iter(range(50))

    def work(_: Told) -> None:
        raise error

    def look(*_: int) -> None:
        next(looks)

    with beside(work, now=True) as found, pytest.raises(type(error), match="no"):
        found.result(look)
