"""What `make benchmark` makes of its figures, and its generator of calls at random moments."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import runs
from benchmarks.runs import CODE, commit
from benchmarks.serving.contenders import NotStarted, default_vouch, echo, running, vouch
from benchmarks.serving.forms import AS_TEXT, raw
from benchmarks.serving.h2load import Loaded
from benchmarks.serving.plan import FULL, needed
from benchmarks.serving.plot import plot
from benchmarks.serving.questions import Question, Sampled
from benchmarks.serving.record import earlier, joined, wrong
from benchmarks.serving.report import tables
from benchmarks.serving.rest import RestRow
from benchmarks.serving.rows import PhotoRow, Row, problems
from benchmarks.serving.throughput import lasting, saturated

MESSAGE = b"m" * 800
FIGURES: dict[str, Any] = {"machine": "m", "flags": ["avx2"], "commit": "c", "peers": {"MLServer": "s"}}
FIGURES |= {"streams": [], "photographs": []}


def row(name: str, batch: int, speed: float, number: int = 0, load: str = "saturated") -> dict[str, Any]:
    """A load as it is kept."""
    return Row("linear", name, batch, number, load, speed, p50_ms=1.0, p99_ms=4.0, p999_ms=9.0).__dict__


def cells(table: str, name: str) -> list[str]:
    """Of the first row that begins with this name."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_ratios_are_to_tritons_best_at_each_batch() -> None:
    """The number of instances that is better counts, and a ratio is the median of the rounds'."""
    rows = [row("Vouch", 1, 300, number) for number in range(3)] + [row("Vouch", 32, 90, number) for number in range(3)]
    for number, speed in enumerate((100, 200, 150)):
        rows += [row("Triton, 2 instances", 1, speed, number), row("Triton, 2 instances", 32, 10, number)]
        rows += [row("Triton, 1 instance", 1, 10, number), row("Triton, 1 instance", 32, 45, number)]

    table = tables({**FIGURES, "rows": rows})

    assert cells(table, "Vouch / Triton's best") == ["2.00", "2.00"]
    assert cells(table, "*to reach of Triton's best*") == ["*2.5*", "*1.75*"]


def test_a_peer_that_answers_nothing_has_no_ratio() -> None:
    """Zero calls a second is no number to divide by."""
    table = tables({**FIGURES, "rows": [row("Vouch", 1, 300), row("MLServer", 1, 0)]})

    assert cells(table, "Vouch / MLServer") == ["no answer"]


def test_what_is_no_result_is_in_no_table() -> None:
    """Refusals come fast."""
    rows = [row("Vouch", 1, 300), {**row("Vouch", 32, 9000), "problems": "2 failed ones"}]
    table = tables({**FIGURES, "rows": [*rows, row("Triton, 1 instance", 1, 100), row("Triton, 1 instance", 32, 30)]})

    assert cells(table, "Vouch")[:3] == ["300", "no result", "300"]
    assert cells(table, "Vouch / Triton's best") == ["3.00", "no answer"]


def test_latency_is_said_beside_the_idle_servers() -> None:
    """p99 at 70 % over the idle p50; a server that ended before has none."""
    rows = [row("Vouch", 1, 300, load=load) for load in ("most", "kept up", "idle", "50%", "70%", "90%")]

    rows += [row("MLServer", 1, 300, load="most")]
    table = tables({**FIGURES, "rows": rows})

    assert cells(table, "Vouch")[-1] == "4.0"
    assert cells(table, "MLServer") == ["300", *["no answer"] * 6]


@pytest.mark.parametrize("loads", [("saturated",), ("50%", "70%", "90%"), ()])
def test_the_plot_names_its_lines(loads: tuple[str, ...]) -> None:
    """Whichever parts were run."""
    drawn = plot({"rows": [row("Vouch", 1, 300, load=load) for load in loads]})

    assert drawn.rstrip().endswith("</svg>")
    assert ("<!-- Vouch -->" in drawn) == bool(loads)


def test_a_run_in_pieces_is_one_of_the_same_commit(tmp_path: Path) -> None:
    """The later piece has the later rounds; another commit's figures are not mixed in, and that is known before."""
    figures = {**FIGURES, "rows": [row("Vouch", 1, 300)]}
    path = tmp_path / "serving.json"
    path.write_text(json.dumps(figures))

    of_later = {key: figures[key] for key in ("machine", "flags", "commit")}
    assert [one["round"] for one in joined(earlier(path, of_later), figures)["rows"]] == [0, 1]
    assert joined(earlier(tmp_path / "none.json", of_later), figures) == figures
    with pytest.raises(SystemExit, match="another commit"):
        earlier(path, {**of_later, "commit": "d"})


def test_figures_that_are_written_are_no_change_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the next piece of a run would be one of another commit."""

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, timeout=60, stdout=subprocess.DEVNULL)

    measured = tmp_path / "docs" / "measured"
    measured.mkdir(parents=True)
    monkeypatch.setattr(runs, "MEASURED", measured)
    (tmp_path / "code.py").write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    of_code = commit(CODE)
    (measured / "serving.json").write_text("{}")

    assert of_code
    assert commit(CODE) == of_code
    (tmp_path / "code.py").write_text("changed = True\n")
    assert commit(CODE) == f"{of_code}+"


@pytest.mark.parametrize(
    ("loaded", "sampled", "why"),
    [
        (Loaded(10, 1, 0, 1460, np.empty(0)), Sampled(1, 0, [], 146), ""),
        (Loaded(10, 1, 0, 700, np.empty(0)), Sampled(1, 0, [], 146), "answers of 70 bytes, expected 146"),
        (Loaded(10, 1, 0, 1752, np.empty(0)), Sampled(1, 0, [], 146), "answers of 175 bytes, expected 146"),
        (Loaded(10, 1, 0, 1752, np.empty(0), unfinished=2), Sampled(1, 0, [], 146), ""),
        (Loaded(10, 1, 3, 1460, np.empty(0)), Sampled(1, 0, [], 146), "3 calls failed"),
        (Loaded(10, 1, 0, 1460, np.empty(0)), Sampled(1, 1, [], 146), "1 wrong answers, 0 failed ones []"),
        (Loaded(10, 1, 0, 0, np.empty(0)), Sampled(), "no answer was seen to be right"),
        (Loaded(0, 1, 0, 0, np.empty(0)), Sampled(), ""),
    ],
)
def test_a_load_counts_only_with_right_answers(loaded: Loaded, sampled: Sampled, why: str) -> None:
    """Failed, wrong, and answers of another size; a server that is slow, or cut off by the clock, is not wrong."""
    assert problems(loaded, sampled) == why


def test_numbers_as_text_have_more_digits_or_fewer() -> None:
    """An answer of half the size is an error's all the same."""
    sampled = Sampled(1, 0, [], 588)

    assert problems(Loaded(10, 1, 0, 6090, np.empty(0)), sampled, AS_TEXT) == ""
    assert problems(Loaded(10, 1, 0, 6090, np.empty(0)), sampled) == "answers of 609 bytes, expected 588"
    assert problems(Loaded(10, 1, 0, 3000, np.empty(0)), sampled, AS_TEXT) == "answers of 300 bytes, expected 588"


def test_what_is_no_result_is_named() -> None:
    """Which load it was, and why."""
    bad = {**row("Vouch", 8, 1), "problems": "3 calls failed"}

    photo = PhotoRow("Vouch", 0, 40, 1.0, problems="2 of 9 labels are wrong").__dict__
    assert wrong({"rows": [bad], "streams": [], "photographs": [photo]}) == [
        "linear, Vouch, batch 8, saturated, round 1: 3 calls failed",
        "Vouch, photographs, round 1: 2 of 9 labels are wrong",
    ]


def test_photographs_are_said_beside_triton() -> None:
    """The median of the rounds' ratios."""
    rows = [PhotoRow("Vouch", number, 43, speed).__dict__ for number, speed in enumerate((60, 50, 40))]
    rows += [PhotoRow("Triton", number, 43, speed).__dict__ for number, speed in enumerate((40, 50, 10))]

    assert cells(tables({**FIGURES, "rows": [], "photographs": rows}), "Triton") == ["40.0", "0.0", "1.50"]


def test_rest_is_compared_in_the_same_form() -> None:
    """JSON with JSON, bytes with bytes; what is no result is named, and in no table."""
    forms = {"Vouch, bytes": "bytes", "Vouch, JSON": "JSON", "mosec (HTTP)": "bytes", "MLServer (HTTP)": "JSON"}
    speeds = {"Vouch, bytes": 600, "Vouch, JSON": 300, "mosec (HTTP)": 800, "MLServer (HTTP)": 100}
    rows = [
        RestRow(name, takes, number, speeds[name], 50).__dict__ for number in (0, 1) for name, takes in forms.items()
    ]
    rows.append(RestRow("Vouch, JSON", "JSON", 1, 9000, 50, "3 calls failed").__dict__)
    figures = {**FIGURES, "rows": [], "rest": rows}

    table = tables(figures)

    assert cells(table, "Vouch, JSON") == ["JSON", "300", "50", ""]
    assert cells(table, "mosec (HTTP)")[-1] == "0.75"
    assert cells(table, "MLServer (HTTP)")[-1] == "3.00"
    assert wrong(figures) == ["Vouch, JSON, REST, JSON, round 2: 3 calls failed"]


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (("rest",), {"litserve", "mosec", "mlserver"}),
        (("rest", "streams"), {"litserve", "mosec", "mlserver", "triton"}),
    ],
)
def test_a_part_needs_no_other_parts_peers(parts: tuple[str, ...], names: set[str]) -> None:
    """What is not asked is not installed."""
    assert {one.name for one in needed(replace(FULL, parts=parts))} == names


def test_a_part_that_there_is_not_is_wrong_usage() -> None:
    """The parts that there are are named."""
    words = [sys.executable, "-m", "benchmarks.serving", "--parts", "calls,stream"]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "'stream' is not one of calls, streams, rest, latency, photographs" in done.stderr


def test_answers_are_read_in_the_form_of_each_protocol() -> None:
    """Over HTTP/1.1 an answer is the probabilities' bytes; other labels, and half an answer, are wrong."""
    asked = Question(np.zeros((2, 1), np.uint8), MESSAGE, np.array([1, 0]))
    right = np.array([[0, 1], [1, 0]], np.float32)
    over_http = default_vouch().__class__("peer", lambda *_: [], form=raw("/predict"))

    assert asked.asked_of(over_http) == b"\0\0"
    assert asked.is_right(right.tobytes(), over_http)
    assert not asked.is_right(right[::-1].tobytes(), over_http)
    assert not asked.is_right(right[:1].tobytes()[:4], over_http)
    assert asked.is_right(MESSAGE, echo())


def test_vouch_is_started_with_nothing_set() -> None:
    """But where it listens; the others differ by transport and workers alone."""
    default = default_vouch().command(Path("models/mnist/1"), 1, Path())

    assert default[1:] == ["-m", "vouch", "serve", "models", "--port", "1"]
    assert vouch("grpcio", 2).command(Path("models/mnist/1"), 1, Path())[len(default) :] == [
        *("--transport", "grpcio", "--workers", "2")
    ]


def test_a_server_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    """Not waited for."""
    fails = default_vouch().__class__("bad", lambda *_: ["sh", "-c", "echo no such model; exit 3"])

    said = "bad ended with 3 before it answered; it said: no such model"
    with pytest.raises(NotStarted, match=said), running(fails, tmp_path, MESSAGE):
        pytest.fail("it runs")


def test_a_server_that_ends_is_started_again_before_it_has_no_result(tmp_path: Path) -> None:
    """Three times; the row says why there is no figure."""
    starts = tmp_path / "starts"
    ends = default_vouch().__class__("bad", lambda *_: ["sh", "-c", f"echo started >> {starts}; exit 3"])
    asked = {1: Question(np.zeros((1, 1), np.uint8), MESSAGE, np.array([0]))}
    bundle: Any = SimpleNamespace(path=tmp_path)

    (row,) = saturated(ends, bundle, asked, ("linear", 0), {1: 1.0})

    assert len(starts.read_text().splitlines()) == row.starts == 3
    assert row.calls_a_second == 0
    assert "bad ended with 3" in row.problems


def test_a_load_is_long_enough_for_slow_calls() -> None:
    """Bare ONNX Runtime would answer twice in it what is under way at once: 64 calls."""
    alone = [Row("cnn", "bare", 1, 0, "saturated", 6400), Row("cnn", "bare", 1024, 0, "saturated", 16)]

    assert lasting(alone, 2.0) == {1: 2.0, 1024: 8.0}
