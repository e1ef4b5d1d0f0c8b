"""Whether a version is worse than an older one, as a table."""

import numpy as np
import pytest

from vouch.bundle.accuracy import Accuracy
from vouch.server.lineup.comparing import MAX_IMAGES, Compared, have_the_same_classes, worse_than
from vouch.server.lineup.verdict import Claimed
from vouch.server.model.compared import packed

CLASSES, OTHERS = "1" * 64, "2" * 64


def version(right: np.ndarray | tuple[int, int], split: str = "s", classes: str = CLASSES) -> Claimed:
    """Of its answers one by one, or of their number alone."""
    correct, total = right if isinstance(right, tuple) else (int(right.sum()), len(right))
    bits = b"" if isinstance(right, tuple) else packed(right)
    return Claimed(
        version=1,
        claim=Accuracy(correct=correct, total=total),
        compared=Compared(classes=classes, split=split, right=bits),
    )


def answers(total: int, *wrong: int) -> np.ndarray:
    right = np.ones(total, np.bool_)
    right[list(wrong)] = False
    return right


@pytest.mark.parametrize(
    ("what", "older", "newer", "p_value"),
    [
        ("8 answers fewer, none more: 1 in 128", answers(40), answers(40, *range(8)), 2 / 2**8),
        ("7 fewer: 1 in 64, which is chance", answers(40), answers(40, *range(7)), None),
        ("8 fewer and 1 more", answers(40, 39), answers(40, *range(8)), None),
        ("20 of 1,000 fewer, where intervals meet", answers(1000, *range(99)), answers(1000, *range(119)), 2 / 2**20),
        ("better", answers(40, *range(8)), answers(40), None),
        ("of other images of the same number: intervals that meet", answers(40), version(answers(40, 1), "t"), None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_to_the_same_images_are_compared_one_by_one(
    what: str, older: np.ndarray, newer: np.ndarray | Claimed, p_value: float | None
) -> None:
    """By McNemar's exact test, at 1 %."""
    found = worse_than(1, version(older), newer if isinstance(newer, Claimed) else version(newer))

    assert (found and found.p_value) == (p_value and pytest.approx(p_value)), what


@pytest.mark.parametrize(
    ("what", "older", "newer", "is_worse"),
    [
        ("6 % after 96 %", version((96, 100)), version((6, 100)), True),
        ("intervals that meet", version((96, 100)), version((90, 100)), False),
        ("many images: a point is enough", version((9600, 10000)), version((9500, 10000)), True),
        ("other images", version((96, 100), "s"), version((60, 100), "t"), True),
        (
            "nobody knows which images",
            version(answers(999, *range(99)), ""),
            version(answers(999, *range(119)), ""),
            False,
        ),
        ("other classes", version((96, 100)), version((6, 100), classes=OTHERS), False),
        ("better", version((6, 100)), version((96, 100)), False),
        ("answers of one alone", version(answers(100)), version((6, 100)), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_otherwise_the_intervals_must_not_meet(what: str, older: Claimed, newer: Claimed, is_worse: bool) -> None:
    """The counts alone say less than the answers."""
    found = worse_than(1, older, newer)

    assert (found is not None) is is_worse, what
    assert found is None or found.p_value is None


def test_a_reason_has_the_numbers() -> None:
    """Of both, and of the test."""
    by_answers = worse_than(3, version(answers(40)), version(answers(40, *range(8))))
    by_intervals = worse_than(3, version((96, 100)), version((6, 100)))

    assert str(by_answers) == (
        "worse than version 3: it has 32 of 40 right (80.00%), version 3 40 of 40 right (100.00%) of the same images "
        "(McNemar's exact test: p = 0.0078, below 0.01)"
    )
    assert str(by_intervals) == (
        "worse than version 3: it has 6 of 100 right (6.00%), version 3 96 of 100 right (96.00%), "
        "and the 95 % intervals do not overlap"
    )


def test_answers_travel_as_bits() -> None:
    """As JSON and back; of a split beyond the bound not at all."""
    right = answers(1001, 0, 3, 1000)
    sent = version(right)

    assert Claimed.model_validate_json(sent.model_dump_json()) == sent
    assert len(sent.compared.right) == 126
    assert packed(np.ones(MAX_IMAGES + 1, np.bool_)) == b""
    assert have_the_same_classes(sent, version((1, 2)))
