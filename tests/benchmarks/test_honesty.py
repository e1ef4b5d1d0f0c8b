"""The parts of `make honesty`: what is drawn, what counts as kept, how it is recorded and shown."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks.honesty.cells import CELLS, Cell, chosen, in_turns
from benchmarks.honesty.draws import Draw, Population, draw, places
from benchmarks.honesty.ours import Learner, vouched
from benchmarks.honesty.promises import of_sets, of_thresholds, of_vouched, true_error, where_both
from benchmarks.honesty.record import CellRecord, Record, writing
from benchmarks.honesty.table import BESIDE_OTHERS, COMMAND, beside_table, kept_table, rate
from benchmarks.measured import put
from vouch.sources.load import load

DOCS = Path(__file__).resolve().parents[2] / "docs"
HERE = {"commit": "abc", "machine": "m", "libraries": "l"}


@pytest.fixture(scope="module")
def population() -> Population:
    """The digits that come with Vouch: 174 of each class at least."""
    source = load("digits")
    return Population(source.classes, source.splits["all"])


@pytest.fixture(scope="module")
def drawn(population: Population) -> Draw:
    return draw(population, a_class=10, number=3, truth=100)


def test_no_image_of_a_resampling_is_in_two_parts(population: Population, drawn: Draw) -> None:
    """And each class has equally many in each: validation a quarter of the pool, the truth as many as there are."""
    parts = [drawn.pool, drawn.validation, drawn.truth]
    rows = np.concatenate([places(part) for part in parts])

    assert len(np.unique(rows)) == len(rows)
    assert [np.bincount(part.labels).tolist() for part in parts] == [[10] * 10, [3] * 10, [100] * 10]
    for part in parts:
        np.testing.assert_array_equal(part.images[:], population.examples.images[places(part)])


def test_a_resampling_follows_from_its_number(population: Population, drawn: Draw) -> None:
    """The same for everybody, and another one for another number or size."""
    again, other = draw(population, 10, 3, truth=100), draw(population, 10, 4, truth=100)

    np.testing.assert_array_equal(places(again.pool), places(drawn.pool))
    assert not np.array_equal(np.sort(places(other.pool)), np.sort(places(drawn.pool)))


def test_ours_is_promised_and_judged_without_the_truth(drawn: Draw) -> None:
    """A training in this process gives a claim, its intervals, and label sets, each with whether it was kept."""
    found = of_vouched(vouched(Learner("linear"), drawn), drawn)

    assert found["ours accuracy"] > 0.7
    assert {found[f"ours {name} kept"] for name in ("accuracy", "balanced", "calibration")} <= {0.0, 1.0}
    assert found["ours 90% given"] == 1
    assert found["ours 90% coverage"] > 0.7


def test_a_promise_is_kept_if_enough_sets_contain_the_truth() -> None:
    """What is not promised has no figures but that."""
    sets, labels = np.array([[True, False], [True, True], [False, True], [True, True]]), np.array([0, 1, 0, 1])

    assert of_sets("a", 0.75, sets, labels) == {"a 75% kept": 1.0, "a 75% coverage": 0.75, "a 75% size": 1.5}
    assert of_sets("a", 0.9, sets, labels)["a 90% kept"] == 0
    assert of_thresholds("a", {0.9: None}, np.eye(2), np.arange(2)) == {"a 90% given": 0.0}


def test_sizes_are_compared_where_both_promise() -> None:
    """A resampling in which one of them promises nothing says nothing of the other's size."""
    row = {"ours beside 90% size": 1.2, "plain 90% size": 1.1, "ours beside 95% size": 2.0}

    assert where_both(row) == {"both 90% ours beside": 1.2, "both 90% plain": 1.1}


def test_the_true_error_leaves_chance_out() -> None:
    """Of honest probabilities it is nearly nothing, where the plain count is not; of others it is how far they are."""
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1, 40_000)
    probabilities = np.stack([sure, 1 - sure], axis=1)
    honest = (random.uniform(size=40_000) > sure).astype(np.int64)
    bold = (random.uniform(size=40_000) > sure - 0.2).astype(np.int64)

    assert true_error(probabilities, honest) < 0.01
    assert 0.19 < true_error(probabilities, bold) < 0.21


def test_all_cells_get_on_alike_and_each_can_be_run_alone() -> None:
    """The share that is made of each cell rises evenly; what is made already is left out."""
    jobs = in_turns(CELLS, None, {"linear 10": 995})
    starts = [numbers.start / cell.resamplings for cell, numbers in jobs]

    assert starts == sorted(starts)
    assert sum(len(numbers) for cell, numbers in jobs if cell.name == "linear 10") == 5
    assert sum(len(numbers) for cell, numbers in jobs if cell.name == "insects 50") == 1000
    assert [cell.name for cell in chosen(["cnn"], [10, 20])] == ["cnn 10", "cnn 20"]
    assert [len(one) for one in Cell("linear", 10, 1000, 100, 10).blocks(most=25)] == [10, 10, 5]


def test_a_measurement_goes_on_where_it_was(tmp_path: Path) -> None:
    """Sums are kept with every block; what other code or another machine has found begins anew."""
    path = tmp_path / "honesty.json"
    with writing(path) as record:
        assert record.begin(["linear 10"], HERE) == {"linear 10": 0}
        record.add("linear 10", [{"ours 90% size": 1.5}, {"ours 90% size": 2.5, "ours 95% size": 3.0}], 1.0)
    with writing(path) as record:
        assert record.begin(["linear 10", "linear 20"], HERE) == {"linear 10": 2, "linear 20": 0}
        record.add("linear 10", [{"ours 90% size": 0.5}], 1.0)
    size = Record(path).cells["linear 10"].figures["ours 90% size"]

    assert (size.count, size.total, size.least) == (3, 4.5, 0.5)
    assert Record(path).begin(["linear 10"], HERE | {"commit": "other"}) == {"linear 10": 0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_rate_below_its_promise_by_more_than_chance_is_bold() -> None:
    """Three standard errors are chance: of 100 resamplings 9 points of a promise of 90 %."""
    cell = CellRecord(HERE)
    cell.add([{"x": float(number < 82), "y": float(number < 80)} for number in range(100)], 1.0)

    assert [rate(cell, name, 0.9) for name in ("x", "y", "z")] == ["82.0%", "**80.0%**", "-"]


def test_the_tables_name_what_was_given_kept_and_larger(tmp_path: Path) -> None:
    """A promise that is never given is no rate; sets that are too large are bold."""
    row = {"ours accuracy kept": 1.0, "ours balanced kept": 1.0, "ours calibration kept": 1.0, "ours 99% given": 0.0}
    row |= {"ours 90% given": 1.0, "ours 90% kept": 1.0}
    for whose, size in (("ours beside", 1.4), ("plain", 1.2)):
        row |= {f"{whose} 90% kept": 1.0, f"{whose} 90% size": size, f"both 90% {whose}": size}
    with writing(tmp_path / "honesty.json") as record:
        record.begin(["insects 50"], HERE)
        record.add("insects 50", [row], 1.0)

    lines, beside = kept_table(record).splitlines(), beside_table(record).splitlines()

    assert lines[2] == "| insects, 50 | 1 | 100.0% | 100.0% | 100.0% | 100.0% | not given | not given | a |"
    assert beside[2] == "| insects, 50 | 90% | 1 | 100%, 1.40 | 100%, 1.20 | - | - | - | - | **+17%** |"
    assert lines[4:] == ["- a: abc, m, l"]


def test_the_command_shows_a_record_and_names_the_cells_where_one_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a run; a record of one's own leaves the page as it is."""
    main = import_module("benchmarks.honesty.__main__").main
    asked = ["honesty", "--table", "--only", "linear", "--record", str(tmp_path / "mine.json")]

    monkeypatch.setattr("sys.argv", asked)
    main()
    assert capsys.readouterr().out.startswith("| model, images a class")

    monkeypatch.setattr("sys.argv", [*asked, "--sizes", "7"])
    with pytest.raises(SystemExit, match="choose among linear 10, linear 20"):
        main()


def test_the_pages_show_what_was_found() -> None:
    """The tables in docs/ are those of docs/measured/honesty.json, and what explains them stays short."""
    record = Record(DOCS / "measured" / "honesty.json")
    page, beside = ((DOCS / "explanation" / name).read_text("utf-8") for name in ("accuracy.md", "label-sets.md"))

    assert put(page, kept_table(record), COMMAND) == page
    assert put(beside, beside_table(record), BESIDE_OTHERS) == beside
    assert len(page.splitlines()) <= 150
    assert max(map(len, page.splitlines())) <= 120
