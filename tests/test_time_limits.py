"""Every wait has a limit: in the tests by pytest-timeout, in all code by what it passes to what it waits for."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("bundle", "cli", "client", "server", "sources", "trainer", "vouch")
AROUND = ("benchmarks", "examples", "tests")
RUNS = {"run", "call", "check_call", "check_output"}
"""Of the module subprocess."""
STARTS = {"Popen", "create_subprocess_exec", "create_subprocess_shell"}
HANDED_TO = {"create_task", "ensure_future", "wait_for"}
"""Of the module asyncio: what they are given is awaited elsewhere."""
WAITS = {"acquire", "communicate", "get", "join", "wait"}
"""Methods that wait for another thread, task or process."""
LIFELONG = {
    "server/model/batcher.py: _work": "for requests; close wakes it",
    "server/serving/served.py: end": "for the last call, which its worker gives a grace",
    "server/model/batcher.py: close": "for a run; its worker gives it some seconds",
    "server/supervisor/pool.py: start": "for workers, whose states have limits",
    "server/supervisor/slot.py: _fill": "for a worker that drains, which has a limit",
    "server/supervisor/slot.py: _needs_another": "as long as a worker is ready, which is watched; stopping wakes it",
    "server/supervisor/slot.py: stop": "for workers that drain, which has a limit",
    "server/supervisor/worker_process.py: _unless_gone": "for a worker, whose states have limits",
    "server/supervisor/run.py: run_supervisor": "for a signal",
    "server/supervisor/supervisor.py: given_up": "for the end of tasks that live as long as the server",
    "server/supervisor/ahead.py: end": "for a process that was killed",
    "server/serving/readiness.py: changes": "as long as a caller watches; draining ends it",
    "server/rpc/stream.py: ready": "as long as a caller's stream is open; its end wakes and cancels it",
    "server/rpc/stream.py: _wait_for_room": "likewise",
    "server/services/classifier/evaluate.py: counts": "for a batch that the model answers or fails; its end wakes all",
    "server/worker/reconcile.py: run": "for line-ups; cancelled when the worker stops",
    "server/worker/worker.py: _cancel": "for tasks that were cancelled, in a process whose end is certain by then",
    "server/rpc/waiting.py: __aexit__": "for a cancelled task that reads whether the caller has left",
}
"""Waits in the event loop of the product that have no limit of their own, and what ends them."""


def files(folders: tuple[str, ...]) -> list[Path]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in paths if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))]


def has_limit(call: ast.Call) -> bool:
    """Whether it is given one; strings are joined and mappings looked up with a value, and semaphores taken at once."""
    return bool(call.args) or any(given.arg in (None, "timeout", "blocking", "within_s") for given in call.keywords)


def method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def of(call: ast.Call, module: str) -> bool:
    return (
        isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == module
    )


@dataclass(frozen=True)
class Found:
    """Lines of a file."""

    endless: list[int]
    """Where something is waited for without a limit, outside of an event loop."""
    unread: list[int]
    """Where a program is started whose output nobody may read."""


@cache
def found_in(path: Path) -> Found:
    """What is wrong with its calls; none of the tree is kept, which the tests that follow would have to bear."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    awaited = {node.value for node in nodes if isinstance(node, ast.Await)}
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    handed_on = {given for call in calls if method(call) in HANDED_TO for given in call.args}
    endless = [
        call.lineno
        for call in calls
        if (of(call, "subprocess") and method(call) in RUNS and "timeout" not in {one.arg for one in call.keywords})
        or (method(call) in WAITS and call not in awaited and call not in handed_on and not has_limit(call))
    ]
    unread = [
        call.lineno
        for call in calls
        if method(call) == "openpty" or (method(call) in STARTS and "PIPE" in ast.unparse(call))
    ]
    return Found(endless, unread)


def test_what_blocks_a_thread_has_a_limit() -> None:
    """Commands that are run, and waits for processes, threads, locks and queues."""
    endless = [
        f"{path.relative_to(ROOT)}:{line}" for path in files((*PRODUCT, *AROUND)) for line in found_in(path).endless
    ]

    assert endless == []


def test_what_a_test_starts_is_read_while_it_runs() -> None:
    """A pipe or a terminal that nobody reads is full at some time, and then its writer waits."""
    unread = [path for path in files(("tests",)) if found_in(path).unread]

    assert [str(path.relative_to(ROOT)) for path in unread] == ["tests/support/programs.py"]


def test_what_waits_in_the_event_loop_of_the_product_has_a_limit_or_a_known_end() -> None:
    """Either within `asyncio.timeout`, or listed above with what ends it; nothing is listed that is no more."""
    found = {
        f"{path.relative_to(ROOT)}: {function}"
        for path in files(PRODUCT)
        for function in unlimited(ast.parse(path.read_text()))
    }

    assert found == set(LIFELONG)


def unlimited(tree: ast.AST, function: str = "", limited: bool = False) -> Iterator[str]:
    """Names of the functions that wait without a limit in the event loop."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        function, limited = tree.name, False
    if isinstance(tree, ast.AsyncWith):
        limited = limited or any("timeout" in ast.unparse(item.context_expr) for item in tree.items)
    if isinstance(tree, ast.Await) and isinstance(tree.value, ast.Call) and not limited:
        call = tree.value
        waits = method(call) in WAITS and (of(call, "asyncio") or not call.args)
        if waits and "timeout" not in {given.arg for given in call.keywords}:
            yield function
    for child in ast.iter_child_nodes(tree):
        yield from unlimited(child, function, limited)


ENDLESS = """
import threading

def test_endless():
    threading.Thread(target=wait_in_a_thread, daemon=True).start()
    threading.Event().wait()

def wait_in_a_thread():
    threading.Event().wait()

def test_after():
    pass
"""


@pytest.mark.parametrize("can_fail", [True, False])
def test_an_endless_test_is_ended_with_the_stacks_of_all_threads(tmp_path: Path, can_fail: bool) -> None:
    """It fails, and the tests after it run; where it does not even notice, its process ends."""
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    limits = ["timeout=1"] if can_fail else ["timeout=0", "faulthandler_timeout=1"]
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    options = [word for limit in limits for word in ("-o", limit)]
    words = [*command, "-p", "no:cacheprovider", *options, "test_endless.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert ("1 failed, 1 passed" in done.stdout) == can_fail
    said = done.stdout + done.stderr
    assert "in wait_in_a_thread" in said
    assert "test_endless" in said
