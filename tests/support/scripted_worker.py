"""Worker processes that do what a script says: they speak the supervisor's protocol and load nothing."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from vouch.server.supervisor.launch import Launch

PROGRAM = """
import json, os, signal, socket, sys, threading
reads, writes = (socket.socket(fileno=int(word)) for word in sys.argv[1].split(","))
log, script = open(sys.argv[2], "a", buffering=1), json.loads(sys.argv[3])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def say(**message):
    writes.sendall(json.dumps(message).encode() + b"\\n")
def stand_still():
    threading.Event().wait(600)
def note(what):
    log.write(f"{os.getpid()} {what}\\n")
loaded, tried = set(), {}
note("started")
if script.get("start") == "hangs":
    stand_still()
if script.get("start") == "dies":
    os._exit(3)
for line in reads.makefile():
    order = json.loads(line)
    kind = order["kind"]
    if kind == "follow":
        problems = []
        for model in order["line_up"]["models"]:
            for version in model["versions"]:
                key = f"{model['name']}:{version['version']}"
                if key in loaded:
                    continue
                whose = {"name": model["name"], "version": version["version"]}
                say(kind="loading", **whose)
                note(f"loading {key}")
                tried[key] = tried.get(key, 0) + 1
                does = script.get("load", {}).get(key, "")
                if does == "dies":
                    os._exit(4)
                if does == "is killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if does == "hangs":
                    stand_still()
                if does == "closes":
                    writes.shutdown(socket.SHUT_RDWR)
                    stand_still()
                if does.startswith("passing") and tried[key] <= int(does.partition(" ")[2] or 1):
                    problems.append({**whose, "reason": "no memory", "passing": True})
                elif does == "refuses":
                    problems.append({**whose, "reason": "wrong shape"})
                else:
                    loaded.add(key)
        note(f"applied {order['line_up']['number']}")
        say(kind="applied", number=order["line_up"]["number"], problems=problems)
    if kind == "listen":
        note("listens")
        say(kind="listening", problem=script.get("listen", ""))
        if script.get("then") == "dies":
            os._exit(5)
        if script.get("then") == "closes":
            writes.shutdown(socket.SHUT_RDWR)
            stand_still()
        if script.get("then") == "breaks":
            say(kind="broken", reason="its runner ended")
        if script.get("then") == "is silent":
            stand_still()
    if kind == "ping":
        say(kind="pong", number=order["number"])
    if kind == "stop":
        note("stops")
        if script.get("stop") == "hangs":
            stand_still()
        say(kind="stopped")
        break
"""


@dataclass
class Scripts:
    """Starts such workers, one script after the other; the last is that of all that follow.

    A script's keys: start (hangs, dies), load (NAME:VERSION -> dies, is killed, hangs, closes, refuses, passing N),
    listen (a problem), then (dies, closes, breaks, is silent), stop (hangs).
    """

    folder: Path
    scripts: list[dict[str, object]] = field(default_factory=lambda: [{}])
    started: int = 0

    def __call__(self, ends: tuple[int, int]) -> Launch:
        script = self.scripts[min(self.started, len(self.scripts) - 1)]
        self.started += 1
        if script.get("start") == "is absent":
            return Launch(("/no/such/program",), dict(os.environ))
        words = (",".join(map(str, ends)), str(self.folder / "log"), json.dumps(script))
        return Launch((sys.executable, "-c", PROGRAM, *words), dict(os.environ))

    @property
    def log(self) -> list[tuple[int, str]]:
        """(process, what it did), in order."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), what) for pid, _, what in (line.partition(" ") for line in lines)]

    def times(self, what: str) -> int:
        """How often some worker did this."""
        return sum(done == what for _, done in self.log)

    async def until(self, what: str, times: int = 1) -> None:
        """Waits until workers did this so often."""
        async with asyncio.timeout(30):
            while self.times(what) < times:
                await asyncio.sleep(0.01)
