"""What all tests share."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from coverage import Coverage
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Small computations, several processes at once: more threads would only wait for each other. What tests start
# inherits it. Before anything imports torch or numpy's BLAS.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test asks for more they sleep while they wait, as in `vouch train`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell starts what it puts behind `&` without Ctrl-C, and children inherit that; tests send it to theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No time limit an example: the machines that run this are shared, and a slow second is no bug.
settings.register_profile("vouch", deadline=None)
settings.load_profile("vouch")

# A million objects come from collecting the tests, and none of them goes: no search for garbage looks at them, neither
# now nor, after `pytest_collection_finish`, in any test.
gc.disable()

HOSTILE = "tests/hostile/"
LONGEST = (
    "tests/end_to_end/test_main_job.py",
    "tests/server/supervisor/test_supervisor.py",
    "tests/trainer/learn/test_processes.py",
    "tests/trainer/test_run_repeats.py",
    "tests/trainer/report/test_browser.py",
    HOSTILE,
    "tests/end_to_end/test_page.py",
    "tests/server/services/test_predictor.py",
    "tests/server/worker/test_tls_serving.py",
    "tests/test_settings.py",
    "tests/deploy/test_monitoring.py",
    "tests/server/worker/test_addresses.py",
    "tests/server/supervisor/test_hostile_bundles.py",
    "tests/server/transport/test_counting.py",
    "tests/server/transport/test_leaving.py",
    "tests/deploy/test_proxy.py",
    "tests/server/supervisor/test_ahead.py",
    "tests/server/supervisor/test_serve.py",
    "tests/test_hostile_text.py",
    "tests/trainer/report/test_page_kinds.py",
    "tests/server/counting/test_totals.py",
    "tests/server/rest/test_clients.py",
    "tests/sources/test_load.py",
    "tests/end_to_end/test_pixels.py",
    "tests/bundle/test_image_parts.py",
    "tests/bundle/test_pixels.py",
    "tests/bundle/test_samples.py",
    "tests/bundle/test_label_sets.py",
    "tests/bundle/test_accuracy.py",
    "tests/trainer/learn/test_precision.py",
    "tests/trainer/judge/test_thresholds.py",
    "tests/server/rpc/test_protobuf.py",
    "tests/server/services/test_fast.py",
)
"""They begin first, so that no process has one of them left when the others have ended. Tests that time calls come
later in the list: the linter, which runs at the same time, has ended by then.

The lines that they run are not counted, because counting takes a third of the time. Other tests run most of the same
lines: the required coverage is reached without them.
"""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """A file's tests run in one process, where what they share is made once.

    All of tests/hostile are in the same one: what is timed there must not meet another's attack.
    """

    def _split_scope(self, nodeid: str) -> str:
        return HOSTILE if nodeid.startswith(HOSTILE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Which process has which tests."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes the longest begin."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [not item.nodeid.startswith(name) for name in LONGEST])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Lines that the longest tests and their fixtures run are not counted."""
    counting = Coverage.current() if item.nodeid.startswith(LONGEST) else None
    if counting:
        counting.stop()
    try:
        return (yield)
    finally:
        if counting:
            counting.start()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What importing runs is counted by the first process alone: all of them import the same, twice as slowly if so."""
    is_first = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    counting = None if is_first else Coverage.current()
    if counting:
        counting.stop()
    yield
    if counting:
        counting.start()


def pytest_collection_finish() -> None:
    """From here on there is garbage to find."""
    gc.freeze()
    gc.enable()
