"""Requests that ask for much memory: it stays within the budget, others wait for nobody, and it comes back.

`make memory` has the full sizes, in a container's memory of 1 GiB where this machine can give it; here all of it is an
eighth. docs/explanation/strangers.md has a table of what was measured.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

from tests.hostile.heavy import HEAVY, LARGE, WIDE
from tests.hostile.models import publish_constant
from tests.hostile.served import Bystander, Server, Taken, expect_kept, served, tried
from tests.support.programs import OURS, Program, run_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.server.settings import Transport

MIB = 1 << 20
SECONDS = float(os.environ.get("VOUCH_MEMORY_S", "0"))
SCALE = 1.0 if SECONDS else 1 / 8
LASTS_S = SECONDS or 2.0
HELD_BYTES, MESSAGE_BYTES = int(256 * MIB * SCALE), int(64 * MIB * SCALE)
"""As docker-compose.yml has it, and the default."""
GROWN_BYTES = int((1024 - 160) * MIB * SCALE) if SECONDS else 100 * MIB
"""At most, at any moment: a container of 1 GiB has the worker, its supervisor and this."""
LEFT_BYTES = 64 * MIB
PROMISED_S = 0.1 if SECONDS else 0.25
"""A p99 of 87 ms was measured: what runs beside other tests has more room."""
HELD = {"unfinished": (20, MESSAGE_BYTES), "wide": (4, int(8_000_000 * SCALE))}
"""What callers keep who never end: how many they are, and the bytes of each message or answer."""
GRPCIO_DOES_NOT_BEAR = {"unfinished", "many files"}
"""Its core collects a message, whatever its size, before we see anything of it."""
CGROUPS = Path("/sys/fs/cgroup/memory")
"""Version 1; where this machine has another kind, or does not let us, the limit is only looked at."""


def publish(folder: ModelsFolder) -> None:
    publish_tiny(folder)
    publish_constant(folder, LARGE, PixelSettings(height=224, width=224, channels=3), 10, int(256 * SCALE))
    publish_constant(folder, WIDE, PixelSettings(height=4, width=4), 1000, 10)


@contextmanager
def container(server: Server) -> Iterator[None]:
    """The server within 1 GiB of memory, if this machine can do that."""
    group = CGROUPS / f"vouch-{server.program.pid}"
    try:
        group.mkdir()
    except OSError:
        yield
        return
    try:
        (group / "memory.limit_in_bytes").write_text(str(1 << 30))
        for pid in map(str, (server.program.pid, *server.workers)):
            (group / "cgroup.procs").write_text(pid)
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (CGROUPS / "cgroup.procs").write_text(pid)
        group.rmdir()


@pytest.fixture(scope="module", params=get_args(Transport))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all that is done to it, which is what a server has to bear."""
    folder = tmp_path_factory.mktemp("served")
    words = ("--max-held-bytes", str(HELD_BYTES), "--max-message-bytes", str(MESSAGE_BYTES))
    with served(folder / "models", request.param, *words, publish=publish) as one, container(one):
        yield one


@contextmanager
def callers(name: str, server: Server) -> Iterator[Program]:
    """Who do it again and again, or for as long as they are let."""
    words = ("heavy", name, server.port, SCALE) if name in HEAVY else ("holding", name, server.port, *HELD[name])
    with run_beside(sys.executable, "-m", "tests.hostile." + words[0], *map(str, words[1:]), env=OURS) as program:
        program.out.until("begun\n")
        yield program


@pytest.mark.parametrize("name", [*HEAVY, *HELD])
def test_what_callers_make_a_worker_hold_is_bounded(server: Server, name: str) -> None:
    """No worker ends, small calls of others are answered in time, and the memory comes back."""
    if server.transport == "grpcio" and name in GRPCIO_DOES_NOT_BEAR:
        pytest.skip("grpcio does not bear it: docs/explanation/strangers.md")
    workers, before = server.workers, server.resident_bytes
    server.forget_peak()
    taken = all_taken(name, server)
    grown = server.peak_bytes - before
    print(f"\n{server.transport}, {name}: {taken[-1]}; {grown >> 20} MiB at most")

    assert server.workers == workers
    assert grown < GROWN_BYTES
    until(
        lambda: server.resident_bytes - before < LEFT_BYTES,
        lambda: f"{server.resident_bytes - before:,} bytes are left",
    )
    assert server.workers == workers
    expect_kept(taken, PROMISED_S)


def all_taken(name: str, server: Server) -> list[Taken]:
    """What another's small calls took, until they kept to what is promised."""
    bystander = Bystander(server)
    with callers(name, server) as program:
        taken = tried(lambda: bystander.calls(LASTS_S, 100, program.pid), PROMISED_S, tries=3)
        print(program.out.text[-400:])
    bystander.close()
    return taken
