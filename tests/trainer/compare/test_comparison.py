from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny import ROTATED, publish_tiny, tiny_graph
from vouch.bundle.store import ModelsFolder
from vouch.bundle.training import History, Recipe
from vouch.trainer.compare.compare import Comparison, Difference, compare
from vouch.trainer.compare.comparison import WIDEST, as_json, in_words, name_of, text


@pytest.fixture
def folder(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")


@pytest.fixture
def two(folder: ModelsFolder) -> Comparison:
    """Two tiny models; the second is of format 1."""
    return compare([publish_tiny(folder).path, publish_tiny(folder, calibrated=False).path])


def row(said: str, name: str) -> list[str]:
    """What the row of this name says of each model."""
    (line,) = [line for line in said.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


def test_the_table_says_what_the_manifests_say(two: Comparison) -> None:
    """What a bundle of the first format, or a made-up one, does not know is left open."""
    said = text(two)

    assert row(said, "accuracy") == ["90.00%", "90.00%"]
    assert row(said, "95 % interval, from") == ["85.89%", "85.89%"]
    assert row(said, "to") == ["93.05%", "93.05%"]
    assert row(said, "calibration error") == ["9.97%", "-"]
    assert row(said, "numbers") == ["float32", "float32"]
    assert row(said, "epochs") == ["-", "-"]
    assert row(said, "model") == ["-", "-"]


def test_epochs_are_those_gone_through(two: Comparison) -> None:
    """The record begins with number 0, before the first; older bundles have none, but a recipe."""
    recipe = Recipe(epochs=20, batch_size=8, learning_rate=0.1, optimizer="sgd")
    parts: tuple[dict[str, Any], ...] = {"history": History.of([{}, {}, {}], best=1)}, {"recipe": recipe}
    bundles = tuple(
        replace(
            bundle,
            manifest=bundle.manifest.model_copy(update={"training": bundle.manifest.training.model_copy(update=part)}),
        )
        for bundle, part in zip(two.bundles, parts, strict=True)
    )

    assert row(text(replace(two, bundles=bundles)), "epochs") == ["2", "20"]


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.00482, "p = 0.0048 (McNemar), significant at 5 %."),
        (0.58, "p = 0.58 (McNemar), not significant at 5 %."),
        (1.0, "p = 1 (McNemar), not significant at 5 %."),
        (0.0496, "p = 0.0496 (McNemar), significant at 5 %."),
        (0.0504, "p = 0.05 (McNemar), not significant at 5 %."),
        (0.05, "p = 0.05 (McNemar), not significant at 5 %."),
        (3e-7, "p < 0.0001 (McNemar), significant at 5 %."),
        (0.0, "p < 0.0001 (McNemar), significant at 5 %."),
    ],
)
def test_a_difference_in_words(p_value: float, words: str) -> None:
    """The p-value has the digits that the verdict can be read from."""
    said = in_words(Difference(1_359, 12, 31, p_value), "B", "A")

    assert said == ("of 1,359 common validation images, only B is right for 31, only A for 12: " + words)


def test_settings_that_differ_stand_under_their_models(two: Comparison) -> None:
    """With a warning not to take a difference between two models for one between settings."""
    same, other = text(two), text(replace(two, settings={"seed": (0, 7), "classes": (None, "3,7")}))

    assert "settings that differ" not in same
    assert "another seed gives another model" not in same
    assert row(other, "settings that differ") == ["A", "B"]
    assert row(other, "classes") == ["-", "3,7"]
    assert "another seed gives another model" in other


def test_long_values_keep_their_ends(two: Comparison) -> None:
    """Paths begin alike and end otherwise."""
    first, second = row(text(replace(two, settings={"data": (f"{'d' * 40}1.npz", f"{'d' * 40}2.npz")})), "data")

    assert len(first) == len(second) == WIDEST
    assert (first[-5:], second[-5:]) == ("1.npz", "2.npz")


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_models_that_do_not_fit_beside_each_other_come_below(folder: ModelsFolder, width: int) -> None:
    """No line of a table is longer than the terminal is wide, and every model has its column once."""
    bundle = publish_tiny(folder)
    said = text(compare([bundle.path] * 5), width)
    tables = said[: said.index("B compared with A")].splitlines()[6:]

    assert max(map(len, tables)) <= width
    assert [name for line in tables if line.startswith("   ") for name in line.split()] == ["A", "B", "C", "D", "E"]
    assert sum(len(line.split()) - 1 for line in tables if line.startswith("accuracy")) == 5


def test_a_claim_that_was_not_reproduced_is_told(folder: ModelsFolder, two: Comparison) -> None:
    """The table would repeat it otherwise; where all is well there is no word of it."""
    first, second = publish_tiny(folder, "right"), publish_tiny(folder, "wrong", graph=tiny_graph(ROTATED), older=True)
    said = text(compare([first.path, second.path]))

    assert said.splitlines()[-1].startswith(
        "warning: B claims 270 of 300 right answers; counted here are 30 of 300, and the test uses these. "
        f"vouch verify {second.path} "
    )
    assert "warning" not in text(two)


def test_as_json_holds_what_the_text_holds(two: Comparison) -> None:
    """Numbers as numbers, and null where nobody knows."""
    comparison = replace(two, settings={"seed": (0, 7)})
    result = as_json(comparison)

    assert [one["calibration_error"] for one in result["bundles"]] == [pytest.approx(0.0997, abs=1e-4), None]
    assert [one["counted"]["correct"] for one in result["bundles"]] == [270, 270]
    assert [one["epochs"] for one in result["bundles"]] == [None, None]
    assert result["settings"] == {"seed": [0, 7]}
    assert result["differences"] == [
        {"images": 300, "only_first": 0, "only_this": 0, "p_value": 1.0, "more_than_chance": False}
    ]
    assert result["selection"]["winner"] == 0
    assert result["selection"]["sentence"] in text(two)
    assert as_json(replace(two, selection=None))["selection"] is None
    assert as_json(replace(two, differences=("for this reason",)))["differences"] == [{"reason": "for this reason"}]


def test_models_have_letters_as_long_as_there_are_some() -> None:
    """And numbers after that."""
    assert [name_of(number) for number in (0, 25, 26)] == ["A", "Z", "27"]
