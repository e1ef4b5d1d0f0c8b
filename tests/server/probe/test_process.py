"""The process that verifies one version: what it says on standard output."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.programs import OURS
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.server.lineup.verdict import AnyWord, NotVerified, ProbeTask, Verdict, word_of
from vouch.server.settings import RuntimeSettings


def last_word(bundle: Bundle, cores: int) -> AnyWord:
    task = ProbeTask(
        bundle=bundle.path, settings=RuntimeSettings(), cores=cores, memory_bytes=1 << 30, parent=os.getpid()
    )
    return word_of(said(task.model_dump_json().encode() + b"\n").splitlines()[-1])


def said(told: bytes) -> bytes:
    """By a process that is told this."""
    words = [sys.executable, "-m", "vouch.server.probe.process"]
    return subprocess.run(words, env=OURS, input=told, capture_output=True, check=True, timeout=60).stdout


def test_a_verdict_has_the_run_plan_for_a_workers_share_of_the_cores(tmp_path: Path) -> None:
    """The tiny model has no use for more than one, and is fast enough for the event loop."""
    bundle = publish_tiny(ModelsFolder(tmp_path))

    verdict = last_word(bundle, cores=1)

    assert isinstance(verdict, Verdict)
    assert (verdict.digest, verdict.served) == (bundle.digest, bundle.manifest.claim.accuracy)
    assert verdict.plan.threads == 1
    assert verdict.plan.inline_images >= 1


def test_a_version_that_does_not_keep_its_word_has_a_reason(tmp_path: Path) -> None:
    """And no verdict."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(ROTATED))

    word = last_word(bundle, cores=2)

    assert isinstance(word, NotVerified)
    assert "it claims 270 of 300 right" in word.reason


def test_a_process_that_is_not_needed_any_more_ends_without_a_word() -> None:
    """It was started before anybody knew what for, and whoever did has ended."""
    assert said(b"") == b""
