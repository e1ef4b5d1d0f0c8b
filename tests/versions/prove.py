"""The wheel, built and tried as a stranger would: in empty environments, from a folder with files named as ours.

    make test-versions                                  with the newest and with the lowest versions that it admits
    .venv/bin/python -m tests.versions.prove pinned     with the versions of constraints.txt, as CI does

Each set of versions is tried in two environments: one trains and serves the digits, one has the server extra alone,
without torch. Everything is downloaded, and installed in both at once: some minutes for each set. Of all but the
pinned versions the bill of materials is written too, and held against its schema: half a minute, which CI is spared.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.metadata import Metadata
from packaging.requirements import Requirement

from tests.versions.environment import ROOT, Environment, build_wheel, metadata_of
from tests.versions.sbom import EXTRAS, write_sbom
from tests.versions.trials import serve_without_torch, train_and_serve

TRIALS: dict[str, Callable[[Environment, Path], str]] = {
    EXTRAS: train_and_serve,
    "server": serve_without_torch,
}
"""Extras -> what is tried with them, in this order: the second serves what the first has trained and signed."""
SETS = ("pinned", "newest", "lowest")


def main(wanted: Sequence[str]) -> None:
    """Tries these sets of versions. The first failure ends it, with what the failed command printed."""
    if not wanted or set(wanted) - set(SETS):
        sys.exit(f"expected some of {', '.join(SETS)}")
    with TemporaryDirectory(prefix="vouch-wheel-") as name:
        folder = Path(name)
        wheel = build_wheel(folder / "wheel")
        print(f"built {wheel.name}, {wheel.stat().st_size / 1e3:.0f} kB", flush=True)
        for versions in wanted:
            constraints = folder / f"{versions}.txt"
            constraints.write_text(constraints_of(versions, metadata_of(wheel)), "utf-8")
            with ExitStack() as stack, ThreadPoolExecutor() as threads:
                wheels = [f"{wheel}[{extras}]" for extras in TRIALS]
                environments = [stack.enter_context(Environment(folder, each, constraints)) for each in wheels]
                installed = list(threads.map(Environment.install, environments))
                for extras, environment, seconds in zip(TRIALS, environments, installed, strict=True):
                    print(f"{versions} [{extras}], installed in {seconds:.0f} s: {environment.versions()}", flush=True)
                    print(f"  {TRIALS[extras](environment, folder / f'models-{versions}')}", flush=True)
                    if versions != "pinned" and extras == EXTRAS:
                        print(f"  {write_sbom(environment, wheel)}", flush=True)


def constraints_of(versions: str, metadata: Metadata) -> str:
    """What pip is held to, as the text of a constraints file; empty for the newest versions."""
    if versions == "pinned":
        return (ROOT / "constraints.txt").read_text("utf-8")
    if versions == "newest":
        return ""
    needed = [each for each in metadata.requires_dist or [] if is_tried(each)]
    return "".join(f"{each.name}=={lowest(each)}\n" for each in needed)


def is_tried(needed: Requirement) -> bool:
    """Whether the requirement belongs to an environment that is tried, rather than to developers."""
    extras = ("", *",".join(TRIALS).split(","))
    return needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)


def lowest(needed: Requirement) -> str:
    """The lowest version that a requirement admits.

    Raises:
        ValueError: it names none, so that nobody could say what was tried.
    """
    floors = [each.version for each in needed.specifier if each.operator in (">=", "==")]
    if len(floors) != 1:
        raise ValueError(f"{needed} has no single lowest version")
    return floors[0]


if __name__ == "__main__":
    main(sys.argv[1:])
