"""Floods over HTTP/2: whoever makes small calls beside them is answered in time, and nothing is left of them.

`make floods` has each last for 10 s, from one connection and from ten. docs/explanation/strangers.md has what was
measured, and says what each transport does not bear.
"""

import os
import sys

import pytest

from tests.hostile.attacks import ATTACKS
from tests.hostile.served import MOST_TIMES, Bystander, Server, Taken, expect_kept, tried
from tests.support.programs import OURS, run_beside, until

SECONDS = float(os.environ.get("VOUCH_FLOOD_S", "0"))
FLOOD_S = SECONDS or 0.7
CALLS = 150
"""That are timed, at least."""
BEFORE = {"calls without an end": 4}
"""Calls that come first and are not timed: ten thousand others are taken up once, which the first few wait for."""
PROMISED_S = {1: 0.1, 10: 0.25}
"""Connections that attack -> the p99 of small calls beside them, on a machine that does nothing else."""
LEFT_BYTES = {"h2corn": 192 << 20, "grpcio": 1 << 30}
"""What all attacks together may leave in a worker's memory: it keeps for the next calls what ten thousand took, and
gRPC's core keeps buffers."""
FROM_ONE = (
    *("rapid reset", "SETTINGS", "PING", "CONTINUATION", "empty DATA", "WINDOW_UPDATE"),
    *("bombs of zeros", "bombs of fields to ModelInfer"),
)
"""Floods that are tried from one connection too, where they last for a moment only."""
CASES = [(name, count) for name in ATTACKS for count in PROMISED_S if SECONDS or count > 1 or name in FROM_ONE]
FROM_ANY = {
    *("rapid reset", "calls that are reset", "calls without an end"),
    *("CONTINUATION", "empty CONTINUATION", "header bomb", "20 KiB of headers", "many headers"),
    "PRIORITY",
}
GRPCIO_DOES_NOT_BEAR = {
    (name, count) for name in ATTACKS for count in PROMISED_S if name in FROM_ANY or (count > 1 and "bombs" in name)
}
"""Its core takes up every call and header before we see it, and keeps memory: no setting of its own prevents that."""


@pytest.mark.parametrize(("name", "connections"), CASES, ids=[f"{name}, {count}" for name, count in CASES])
def test_a_flood_holds_up_nobody_else(server: Server, bystander: Bystander, name: str, connections: int) -> None:
    """Small calls keep to the promised time, no worker is replaced, and its memory comes back."""
    if server.transport == "grpcio" and (name, connections) in GRPCIO_DOES_NOT_BEAR:
        pytest.skip("grpcio does not bear it: docs/explanation/strangers.md")
    workers = server.workers
    taken = tried(lambda: flooded(server, bystander, name, connections), PROMISED_S[connections])
    print(f"{server.transport}, {name} from {connections}: {taken[-1]}; {server.resident_bytes >> 20} MiB")

    assert server.workers == workers
    until(lambda: server.grown_bytes < LEFT_BYTES[server.transport], lambda: f"{server.grown_bytes:,} bytes are left")
    expect_kept(taken, PROMISED_S[connections])


def flooded(server: Server, bystander: Bystander, name: str, connections: int) -> Taken:
    """What the bystander's calls took during an attack."""
    words = (name, str(server.port), str(connections), str(2 * MOST_TIMES * FLOOD_S))
    with run_beside(sys.executable, "-m", "tests.hostile.attacker", *words, env=OURS) as attacker:
        attacker.out.until("begun\n")
        for _ in range(BEFORE.get(name, 0)):
            bystander.call()
        return bystander.calls(FLOOD_S, CALLS, attacker.pid)
