import pytest

from vouch.sources.errors import SourceError
from vouch.sources.left_out import LeftOut, are_few, check_strict

FOUND = LeftOut.of(
    {"system": ["cat/Thumbs.db"], "broken": [f"{i}.png: it is empty" for i in range(40)], "unlisted": []}
)


def test_things_are_counted_by_reason_and_images_apart() -> None:
    """A reason without a thing is none; only images count as images."""
    assert FOUND.images == 40
    assert {reason: one.count for reason, one in FOUND.by_reason.items()} == {"system": 1, "broken": 40}
    assert (LeftOut().images, bool(LeftOut()), LeftOut().sentences()) == (0, False, ())


def test_sentences_name_the_first_few() -> None:
    """Images are worth a warning, the rest a note; one thing is said as one."""
    assert FOUND.warnings() == (
        "left out 40 images that cannot be read (0.png: it is empty, 1.png: it is empty, 2.png: it is empty, ...)",
    )
    assert FOUND.notes() == ("left out 1 hidden or system file (cat/Thumbs.db)",)


def test_what_two_readers_left_out_is_added() -> None:
    """Counts add up; names are kept up to a bound."""
    both = FOUND + LeftOut.of({"system": [".DS_Store"], "other_file": ["README.md"]})

    assert {reason: one.count for reason, one in both.by_reason.items()} == {"system": 2, "broken": 40, "other_file": 1}
    assert both.by_reason["system"].names == ("cat/Thumbs.db", ".DS_Store")
    assert len(both.as_json()["broken"]["names"]) == 20
    assert both.as_json()["images"] == 40


def test_with_strict_nothing_may_be_left_out() -> None:
    """The error has all reasons; where nothing is left out there is none."""
    check_strict("here", LeftOut())
    found = r"40 images that cannot be read \(.*\); 1 hidden or system file \(cat/Thumbs\.db\)"
    with pytest.raises(
        SourceError, match=f"--strict: here has files that would be left out: {found}; remove or repair"
    ):
        check_strict("here", FOUND)


@pytest.mark.parametrize(
    ("count", "total", "few"), [(1, 1, True), (5, 6, True), (6, 600, True), (6, 599, False), (7, 10_000, True)]
)
def test_a_few_are_five_or_one_percent(count: int, total: int, few: bool) -> None:
    """An error needs more than both."""
    assert are_few(count, total) is few
