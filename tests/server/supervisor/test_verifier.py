import signal
import sys
from pathlib import Path

import pytest

from tests.support.tiny import ROTATED, microsoft_graph, publish_tiny, tiny_graph, verified
from vouch.bundle.opening import sign_bundle
from vouch.bundle.signature import make_key
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Incomplete, Refused, Undecided
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.compared import compared
from vouch.server.settings import RuntimeSettings, ServeSettings
from vouch.server.supervisor.verifier import ProbeLimits, Verifier, probe


async def test_a_probe_tells_what_a_supervisor_has_to_know(tmp_path: Path) -> None:
    """The process of its own says what verifying here would say."""
    bundle = publish_tiny(ModelsFolder(tmp_path))

    verdict = await probe(bundle.path, RuntimeSettings(), 1)

    assert verdict.plan.threads == 1
    assert verdict.model_copy(update={"plan": RunPlan()}) == verified(bundle).verdict.model_copy(
        update={"plan": RunPlan()}
    )


async def test_where_a_signature_is_required_only_what_is_signed_is_verified(tmp_path: Path) -> None:
    """A missing one may still be on its way; of older versions that are not signed, nothing is heard either."""
    folder = ModelsFolder(tmp_path / "models")
    older, bundle = publish_tiny(folder), publish_tiny(folder)
    key, _ = make_key(tmp_path / "k")

    with pytest.raises(Incomplete, match="is not signed|has no manifest.sig"):
        await probe(bundle.path, RuntimeSettings(), 1, keys=[key])

    sign_bundle(bundle.path, tmp_path / "k")
    assert (await probe(bundle.path, RuntimeSettings(), 1, keys=[key])).signed_by == key.fingerprint
    assert (await probe(bundle.path, RuntimeSettings(), 1)).signed_by == ""
    assert await Verifier(RuntimeSettings(), 1, keys=(key,)).claims(bundle.path, (1,)) == ()
    sign_bundle(older.path, tmp_path / "k")
    (said,) = await Verifier(RuntimeSettings(), 1, keys=(key,)).claims(bundle.path, (1,))
    assert said.version == 1


async def test_what_older_versions_claim_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Without verifying them; of one that cannot be read, nothing is said."""
    folder = ModelsFolder(tmp_path)
    first, second, newest = publish_tiny(folder), publish_tiny(folder), publish_tiny(folder)
    (second.path / "manifest.json").write_text("{}")

    said = await Verifier(RuntimeSettings(), 1).claims(newest.path, (1, 2))

    (one,) = said
    assert (one.version, one.claim) == (1, first.manifest.claim.accuracy)
    assert one.compared == compared(first)


@pytest.mark.parametrize(
    "script",
    [
        "print(CLAIMED % 0)",
        "print('[1]')",
        "sys.exit('why')",
    ],
)
async def test_claims_that_nobody_asked_for_are_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Of a version that was not asked for, in other words, or not at all: then nothing is known, and nothing raised."""
    claimed = '{"kind":"claimed","version":7,"claim":{"correct":1,"total":1},"compared":{"classes":"%064d"}}'
    says(tmp_path, monkeypatch, f"CLAIMED = {claimed!r}\n{script}")

    assert await Verifier(RuntimeSettings(), 1).claims(tmp_path / "3", (1, 2)) == ()


async def test_a_probe_gives_the_reason_of_a_refusal(tmp_path: Path) -> None:
    """The reason is the message, without a prefix."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(ROTATED))

    with pytest.raises(Refused, match=r"^it claims 270 of 300 right and reproduces \d+; 300 of 300 answers differ"):
        await probe(bundle.path, RuntimeSettings(), 1)


async def test_a_probe_that_dies_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes its process with it takes nothing else."""
    killer = tmp_path / "killer"
    killer.write_text(f"#!{sys.executable}\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))

    with pytest.raises(Refused, match=f"killed by {signal.SIGSEGV.name}"):
        await probe(tmp_path, RuntimeSettings(), 1)


async def test_a_probe_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that happens to be called numpy.py where the server was started is not run."""
    bundle = publish_tiny(ModelsFolder(tmp_path / "models"))
    (tmp_path / "numpy.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)

    verdict = await probe(bundle.path, RuntimeSettings(), 1)

    assert verdict.digest == bundle.digest


async def test_a_probe_opens_a_bundle_at_its_place_alone(tmp_path: Path) -> None:
    """One that says it is another version is refused before it is verified."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    moved = bundle.path.rename(bundle.path.with_name("7"))

    with pytest.raises(Refused, match="tiny.7 names tiny version 1, which belongs in"):
        await probe(moved, RuntimeSettings(), 1)


def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """The process that verifies does this instead."""
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport sys, threading\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


FOR_EVER = "sys.stdout.flush(); threading.Event().wait(60)"
RUNNING = """print('{"kind":"running","images":250}');"""


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('x' * 3_000_000);" + FOR_EVER, "sent a line of more than 524,288 bytes"),
        ("print('[1]');" + FOR_EVER, "sent an unexpected message"),
        ("print('no JSON');" + FOR_EVER, "sent an unexpected message"),
        ("""print('{"kind":"verdict","digest":"0"}');""" + FOR_EVER, "sent an unexpected message"),
        ("""print('{"kind":"running","images":0}');""" + FOR_EVER, "sent an unexpected message"),
        ("""print('{"kind":"running","images":1000000}');""" + FOR_EVER, "sent an unexpected message"),
        ("print(RUNNING)", "NameError: name 'RUNNING' is not defined"),
        ("sys.stderr.write('x' * 50_000_000 + chr(10)); sys.exit('why')", "^why$"),
        ("sys.exit(3)", "ended with code 3"),
        ("pass", "ended with code 0"),
    ],
)
@pytest.mark.timeout(60)
async def test_what_a_probe_says_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    """Of bounded length, and nothing but what may be said; errors are read to their end and not kept."""
    says(tmp_path, monkeypatch, script)

    with pytest.raises(Refused, match=reason):
        await probe(tmp_path, RuntimeSettings(), 1)


@pytest.mark.parametrize(
    ("words", "start_s", "reason"),
    [
        ("", 0.5, "reading and opening it did not end within 0.5 s"),
        (RUNNING, 30.0, "running 250 of its images did not end within 0.75 s"),
    ],
)
@pytest.mark.timeout(60)
async def test_a_probe_that_stands_still_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, start_s: float, reason: str
) -> None:
    """Before it runs an image, and in a run."""
    says(tmp_path, monkeypatch, words + FOR_EVER)
    limits = ProbeLimits(start_s=start_s, step_s=0.25, image_s=0.002)

    with pytest.raises(Refused, match=f"^{reason}$"):
        await probe(tmp_path, RuntimeSettings(), 1, limits)


@pytest.mark.timeout(60)
async def test_a_probe_that_goes_on_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is in proportion to its images: thirty runs take several times what one may."""
    word = """print('{"kind":"running","images":250}', flush=True); threading.Event().wait(0.2)"""
    says(tmp_path, monkeypatch, f"for k in range(30): {word}")
    limits = ProbeLimits(start_s=30, step_s=1.5, image_s=0.002)

    with pytest.raises(Refused, match="ended with code 0"):
        await probe(tmp_path, RuntimeSettings(), 1, limits)


@pytest.mark.timeout(60)
async def test_a_probe_that_takes_too_much_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ended; the reason has both numbers and the setting."""
    says(tmp_path, monkeypatch, "held = b'x' * (200 << 20); " + FOR_EVER)

    with pytest.raises(Refused, match=r"took [\d,]+ bytes of memory; --max-verify-bytes is 104,857,600"):
        await probe(tmp_path, RuntimeSettings(), 1, ProbeLimits(memory_bytes=100 << 20))


async def test_a_probe_runs_as_the_server_is_set(tmp_path: Path) -> None:
    """Settings of serving alone are not passed on, and a domain that is allowed is allowed there."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=microsoft_graph())
    allowed = ServeSettings(allow_domain=("com.microsoft",), max_verify_bytes=1 << 30)

    assert (await probe(bundle.path, allowed, 1)).digest == bundle.digest
    with pytest.raises(Refused, match="domain 'com.microsoft'"):
        await probe(bundle.path, ServeSettings(), 1)


@pytest.mark.parametrize("start", ["killed", "missing"])
async def test_a_probe_that_was_killed_or_could_not_start_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """Want of memory or of processes is no fault of the bundle."""
    program = tmp_path / "program"
    if start == "killed":
        program.write_text(f"#!{sys.executable}\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    with pytest.raises(Undecided):
        await probe(tmp_path, RuntimeSettings(), 1)
