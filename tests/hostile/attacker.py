"""A hostile client as a process of its own: `python -m tests.hostile.attacker NAME PORT CONNECTIONS SECONDS`.

It sends what was prepared as fast as it is taken, by one core. It gives way to all other processes: an attacker has a
machine of its own, and what counts is what it costs the server. For the same reason it needs a round trip to open a
connection that was closed once more.
"""

import json
import os
import selectors
import socket
import sys
import time
from contextlib import suppress

from tests.hostile.attacks import ATTACKS, Attack, Then

AT_ONCE_BYTES = 1 << 16
NICE = 19
ROUND_TRIP_S = 0.01


class Connection:
    """One after the other, with what is still to be sent."""

    def __init__(self, attack: Attack, port: int) -> None:
        self._attack = attack
        self._port = port
        self.sent_bytes = 0
        self.opened = 0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        self.socket.setblocking(False)
        self._left = memoryview(self._attack.begin)
        self._is_second = False
        self.opened += 1

    def send(self) -> bool:
        """Some bytes; False where there are none left."""
        if not self._left:
            if (self._is_second and self._attack.then is not Then.AGAIN) or not self._attack.second:
                return False
            self._left, self._is_second = memoryview(self._attack.second), True
        sent = self.socket.send(self._left[:AT_ONCE_BYTES])
        self._left = self._left[sent:]
        self.sent_bytes += sent
        return True

    def receive(self) -> bool:
        """False at the end."""
        return bool(self.socket.recv(AT_ONCE_BYTES))


class Attacker:
    """All connections of an attack."""

    def __init__(self, attack: Attack, port: int, connections: int) -> None:
        self._attack = attack
        self._reading = selectors.EVENT_READ if attack.reads else 0
        self._waiting = selectors.DefaultSelector()
        self._closed: list[tuple[float, Connection]] = []
        self._all = [Connection(attack, port) for _ in range(connections)]
        for one in self._all:
            self._register(one)

    def run(self, seconds: float) -> dict[str, int]:
        """Attacks for so long, and tells how much was sent."""
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends:
            while self._closed and self._closed[0][0] <= now:
                _, one = self._closed.pop(0)
                one.open()
                self._register(one)
            for key, ready in self._waiting.select(timeout=ROUND_TRIP_S):
                self._go_on(key.data, ready)
        sent_bytes, opened = sum(one.sent_bytes for one in self._all), sum(one.opened for one in self._all)
        return {"bytes": sent_bytes, "connections": opened}

    def _register(self, one: Connection) -> None:
        self._waiting.register(one.socket, selectors.EVENT_WRITE | self._reading, one)

    def _go_on(self, one: Connection, ready: int) -> None:
        with suppress(OSError):
            if not ready & selectors.EVENT_READ or one.receive():
                if not ready & selectors.EVENT_WRITE or one.send():
                    return
                if self._attack.then is Then.STAY:
                    self._waiting.modify(one.socket, selectors.EVENT_READ, one)
                    return
        self._waiting.unregister(one.socket)
        one.socket.close()
        self._closed.append((time.monotonic() + ROUND_TRIP_S, one))


if __name__ == "__main__":
    os.nice(NICE)
    name, port, connections, seconds = sys.argv[1:]
    attacker = Attacker(ATTACKS[name](), int(port), int(connections))
    print("begun", flush=True)
    print(json.dumps(attacker.run(float(seconds))), flush=True)
