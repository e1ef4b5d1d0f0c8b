"""The parts of `make training` that need no training."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measured import put
from benchmarks.training.data import first_of_each_class
from benchmarks.training.lines import LINES, SETS, Line, chosen
from benchmarks.training.record import Entry, Record, writing
from benchmarks.training.table import COMMAND, text

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINE = Line("made up", "digits", 0.9, 10, beside=("svm", "copied"))


def run(seed: int, correct: int = 95, **other: object) -> Entry:
    """A run of the made-up line."""
    entry: Entry = {"line": "made up", "seed": seed, "options": [], "device": "cpu", "commit": "abc", "machine": "m"}
    entry |= {"libraries": "l", "correct": correct, "total": 100, "seconds": 8.0, "fitting_s": 4.0, "processor_s": 6.0}
    entry["others"] = 0.0
    return entry | {"beside": {"svm": {"correct": 80, "total": 100}}} | other


def test_lines_take_turns_and_each_set_can_be_run_alone() -> None:
    """All lines with one seed before any with the next, and as many seeds as each has."""
    jobs = chosen([])
    few = chosen(["few"], repeats=2)

    assert [seed for _, seed in jobs] == sorted(seed for _, seed in jobs)
    assert {line.name: sum(line == other for other, _ in jobs) for line in LINES} == {
        line.name: line.repeats for line in LINES
    }
    assert {line.set for line, _ in few} == {"few"}
    assert len(few) == 2 * sum(line.set == "few" for line in LINES)
    assert set(SETS) == {line.set for line in LINES}
    assert chosen([LINES[0].name], repeats=1) == [(LINES[0], 0)]
    assert chosen(["no such set"]) == []


def test_a_run_is_done_once_until_something_changes(tmp_path: Path) -> None:
    """What is kept is found by the next measurement; other code, another machine or other options are another run."""
    path = tmp_path / "training.json"
    with writing(path) as record:
        record.keep(run(1))
        record.keep(run(0))
        record.keep(run(0, correct=96))
    read = Record(path)

    assert [(one["seed"], one["correct"]) for one in read.of("made up", "cpu")] == [(0, 96), (1, 95)]
    assert read.has(run(1))
    assert not read.has(run(2))
    assert not any(read.has(run(1) | {name: "other"}) for name in ("commit", "machine", "libraries", "options"))
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_has_one_writer(tmp_path: Path) -> None:
    """A second measurement is told to wait, and writes nothing."""
    path = tmp_path / "training.json"

    with writing(path), pytest.raises(SystemExit, match="another measurement writes"), writing(path):
        pytest.fail("there are two writers")


def test_a_line_says_whether_its_targets_are_met_where_and_beside_what(tmp_path: Path) -> None:
    """The mean of all runs decides; a time that others disturbed is marked."""
    record = Record(tmp_path / "none")
    record.runs = [run(0), run(1, correct=91, others=0.5, seconds=20.0)]
    record.copied = [{"device": "cpu", "epochs": [{"number": 14, "seconds": 40.0, "correct": 99, "total": 100}]}]

    rows = text(record, [LINE, Line("not run", "digits", 0.9, 10)], "cpu").splitlines()

    assert rows[2] == (
        "| made up | 93.00% (2.83) | 2 | 90.00% met | 14.0* (6.0) | 10 s undecided "
        "| svm 80.00%, copied 99.00%, 10.0 x the time | a |"
    )
    assert rows[4:] == ["- a: abc, cpu, m, l", "- copied: 14 epochs in 40 s; 99.0%: 40 s, 99.5%: never"]


def test_the_command_shows_a_record_and_names_the_sets_where_one_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a run; a record of one's own leaves the page as it is."""
    main = import_module("benchmarks.training.__main__").main
    record = str(tmp_path / "mine.json")

    monkeypatch.setattr("sys.argv", ["training", "--table", "--record", record])
    assert main() == 0
    assert capsys.readouterr().out.startswith("| data | right")

    monkeypatch.setattr("sys.argv", ["training", "--only", "moons", "--record", record])
    with pytest.raises(SystemExit, match="--only moons: expected photographs, digits, few, mnist, fashion"):
        main()


def test_the_page_shows_what_was_measured() -> None:
    """The table in docs/how-to/train.md is that of docs/measured/training.json, and each row fits on a line."""
    page = (DOCS / "how-to" / "train.md").read_text("utf-8")
    table = text(Record(DOCS / "measured" / "training.json"), LINES, "cpu")

    assert put(page, table, COMMAND) == page
    assert max(map(len, table.splitlines())) <= 160
    assert len(page.splitlines()) <= 150


def test_so_many_of_each_class_are_drawn() -> None:
    """In the order of the rows, the same for each class."""
    labels = np.array([0, 1, 0, 1, 0, 1])

    assert first_of_each_class(np.array([5, 4, 3, 2, 1, 0]), labels, 2).tolist() == [4, 2, 5, 3]


def test_what_is_kept_is_json(tmp_path: Path) -> None:
    """Others may read it."""
    with writing(tmp_path / "training.json") as record:
        record.keep_copied({"device": "cpu", "epochs": []})
        record.keep_copied({"device": "cpu", "epochs": [{"number": 1}]})

    assert json.loads((tmp_path / "training.json").read_text()) == {
        "runs": [],
        "copied": [{"device": "cpu", "epochs": [{"number": 1}]}],
    }
