"""Every event of the server's log: its meaning is written here, its level and fields are read from the code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docs.reference import markdown
from docs.reference.markdown import code, prose, table
from vouch.server.supervisor.state import build_info

SERVER = Path(__file__).parents[2] / "server"
ABOUT = """
The server writes its log to standard error. Where that is not a terminal, each event is one line of JSON with `time`
(UTC), `level`, `event`, `message` and the fields below; an unexpected error adds `exception`, its traceback. `message`
is for people and may change; names of events and fields stay. A line of a library has the event `log`. h2corn writes
lines of its own (events `starting`, `listening` and `http1_enabled`), without `time` and `message`.
"""
EVENTS = {
    "started": "The server listens. The fields say where, and which versions of Vouch and ONNX Runtime run.",
    "setting_ignored": "An environment variable begins with `VOUCH_SERVE_`, but is not a setting.",
    "failed": "The server could not start or go on; the message says why. It ends with exit code 1.",
    "draining": "SIGTERM or SIGINT came: calls end within the drain delay and the grace period.",
    "stopped": "The server has stopped normally.",
    "ended_at_once": "A second signal came: the server ends without waiting for calls.",
    "ended_by_force": "A process did not end in time and was ended by force.",
    "served": "A version is served from now on, with its claim, the recounted accuracy and the run plan.",
    "caveat": "A warning about a served version's claim, for example that it is no better than chance.",
    "not_compared": "A served version has other classes than older ones, so it was not compared with them.",
    "held_back": "A version is worse than an older one and is not served. `--allow-worse` allows it.",
    "refused": "A version is not served: it failed its verification, or no worker can serve it.",
    "undecided": "A version could not be verified now. It is tried again after `pause_s` seconds.",
    "being_copied": "A version is not complete yet and is being copied. It is verified when it is complete.",
    "no_model": "The models folder contains no model; the message says what it contains.",
    "models_folder_trouble": "The models folder, or a folder in it, cannot be read. Loaded versions stay served.",
    "served_folder_gone": "The folder of a served version was removed or changed. It is served from memory.",
    "served_folder_back": "The folder of a served version is complete and unchanged again.",
    "not_held": "The files of a served version cannot be kept open, so a new worker needs its folder.",
    "not_loaded": "A worker cannot load a version. `passing`: another try may succeed.",
    "worker_trouble": "A worker does not serve a version and tries again.",
    "worker_ended": "A worker ended unexpectedly. Another replaces it after `pause_s` seconds.",
    "worker_replaced": "A worker is replaced while it still runs, because it cannot do its work.",
    "worker_silent": "A worker did not respond to its supervisor in time and is killed.",
    "worker_failed": "A worker ends because of an unexpected error.",
    "listening_failed": "A worker's transport (h2corn or grpcio) failed to start.",
    "runner_ended": "The task that runs a model in a worker failed. The worker no longer serves that version.",
    "task_ended": "A task of the supervisor failed. The server stops.",
    "call_failed": "A call failed by an error in the server (INTERNAL). The caller got the same `error_id`.",
    "unusable_answers": "A model returned values that are not finite or are no probabilities. These calls failed.",
    "fit_digests_unreadable": "The digests of a version's training images cannot be read as published.",
    "certificate_refused": "A renewed certificate cannot be used. The last good one stays in use.",
}
"""Event -> what has happened, in a sentence or two."""


@dataclass
class Written:
    """What the code says about an event."""

    levels: set[str]
    fields: list[str]


def page() -> str:
    """log.md."""
    found = written()
    rows = ([code(name), *_of(found[name]), text] for name, text in EVENTS.items() if name in found)
    return markdown.page("Log events", prose(ABOUT), table(["event", "level", "fields", "what happened"], rows))


@cache
def written() -> dict[str, Written]:
    """Each event that the server's code writes."""
    found: dict[str, Written] = {}
    for file in sorted(SERVER.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for event in _events(call):
                one = found.setdefault(_name(event), Written(set(), []))
                one.levels.add(_level(call))
                one.fields += [field for field in _fields(event, tree) if field not in one.fields]
    return found


def _of(one: Written) -> tuple[str, str]:
    return ", ".join(sorted(one.levels)), ", ".join(map(code, one.fields))


def _events(call: ast.Call) -> Iterator[ast.Call]:
    """`event(...)` where it is what a call passes as `extra`."""
    for word in call.keywords:
        made = word.value
        if word.arg == "extra" and isinstance(made, ast.Call) and isinstance(made.func, ast.Name):
            assert made.func.id == "event", "extra is made by event()"
            yield made


def _name(event: ast.Call) -> str:
    (name,) = event.args
    assert isinstance(name, ast.Constant), "an event's name is written out"
    return str(name.value)


def _level(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return {"exception": "error"}.get(call.func.attr, call.func.attr)


def _fields(event: ast.Call, tree: ast.AST) -> Iterator[str]:
    """Those that are named; of `**values`, the keys of the dictionaries that the file calls so."""
    for word in event.keywords:
        if word.arg is not None:
            yield word.arg
        elif isinstance(word.value, ast.Name):
            yield from _keys(word.value.id, tree)
        else:
            assert ast.unparse(word.value) == "supervisor.build"
            yield from build_info("", "")


def _keys(name: str, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target, value in _assigned(node):
                if ast.unparse(target) == name and isinstance(value, ast.Dict):
                    yield from (ast.literal_eval(key) for key in value.keys if key is not None)


def _assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target with its value, those of `a, b = x, y` too."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value
