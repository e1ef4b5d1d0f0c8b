import asyncio

from vouch.server.serving.readiness import Readiness


async def test_changes_tell_the_value_now_and_each_new_one_once() -> None:
    """Setting the same value again is no change, and draining is the last one."""
    readiness = Readiness()
    changes = readiness.changes()
    seen = [await anext(changes)]
    readiness.set(False)
    readiness.set(True)
    seen.append(await anext(changes))
    readiness.drain()

    async with asyncio.timeout(10):
        seen += [value async for value in changes]
    assert seen == [False, True, False]


def test_a_draining_server_is_never_ready_again() -> None:
    """Whatever is served meanwhile."""
    readiness = Readiness()
    readiness.drain()
    readiness.set(True)

    assert not readiness.ready
    assert readiness.draining
