"""The parts of the comparison of policies that need no training."""

from pathlib import Path

from benchmarks.honesty.policies import COMMAND, NEW, OLD, Run, recorded, text
from benchmarks.measured import put

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(policy: str, seed: int, correct: int, **coverages: list[float]) -> Run:
    """One that never was."""
    found = {promised.replace("_", "") + "%": counted for promised, counted in coverages.items()}
    counts = {"correct": correct, "total": 100, "log_loss": 0.1, "processor_s": 8.0}
    return {"set": "digits", "policy": policy, "seed": seed, "coverages": found} | counts


def test_a_policy_is_its_mean_over_seeds() -> None:
    """Of label sets over those seeds alone with which they are promised."""
    runs = [run(OLD, 0, 90), run(NEW, 0, 92, _90=[91, 1.0]), run(OLD, 1, 94), run(NEW, 1, 92)]

    assert text(runs, "here").splitlines()[2:] == [
        "| digits | old | 92.00% (2.83) | 0.1000 | not given | not given | not given | 8.0 |",
        "| digits | new | 92.00% (0.00) | 0.1000 | 91.0%, 1.00 (1 of 2) | not given | not given | 8.0 |",
        "",
        "- here",
    ]


def test_the_page_shows_what_was_measured() -> None:
    """The table in docs/explanation/accuracy.md is that of docs/measured/policies.json."""
    page = (DOCS / "explanation" / "accuracy.md").read_text("utf-8")

    assert put(page, recorded(), COMMAND) == page
