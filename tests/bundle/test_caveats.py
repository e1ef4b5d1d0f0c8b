from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vouch.bundle.caveat import Caveat
from vouch.bundle.caveats import (
    CHANCE,
    COVERAGE,
    baseline_in_words,
    calibration_in_words,
    caveats,
    guarantee_in_words,
    withheld_in_words,
)
from vouch.bundle.claims import Claim, MultiLabelClaim, claim_from
from vouch.bundle.multi_label import MultiLabelTally
from vouch.bundle.reliability import ByClass, Calibration, Coverage, Withheld
from vouch.bundle.tally import Tally

NAMES = ("cat", "dog", "ant")


def claim(*confusion: tuple[int, ...]) -> Claim:
    """Of these rows: the true class, columns the answers."""
    tally = Tally()
    for label, row in enumerate(confusion):
        answers = np.repeat(np.arange(len(row)), row)
        tally.add_answers(np.full(len(answers), label), answers)
    counted = claim_from(tally)
    assert isinstance(counted, Claim)
    return counted


def several(labels: np.ndarray, answers: np.ndarray) -> MultiLabelClaim:
    """Of these labels and answers, both bool of shape (N, K)."""
    tally = MultiLabelTally((0.5,) * labels.shape[1])
    tally.add(labels, answers.astype(np.float32))
    counted = claim_from(tally)
    assert isinstance(counted, MultiLabelClaim)
    return counted


def calibration(*coverages: Coverage, **changes: Any) -> Calibration:
    facts = {"temperature": 0.5, "error_before": 0.1, "error_after": 0.02} | changes
    return Calibration(coverages=coverages, **facts)


def sets(promised: float, covered: int, total: int = 400) -> Coverage:
    return Coverage(promised=promised, threshold=0.1, covered=covered, total=total, mean_size=1.5)


@pytest.mark.parametrize(
    ("confusion", "doubted"),
    [
        (((50, 50), (50, 50)), True),
        (((450, 50), (50, 450)), False),
        (((58, 42), (43, 57)), False),  # 115 of 200: from 50.32 %
        (((57, 43), (43, 57)), True),  # 114 of 200: from 49.82 %
        (((900, 0), (100, 0)), True),  # 90 % right, as always answering the first is
        (((875, 25), (60, 40)), True),  # 91.5 %, from 89.6 %
        (((880, 20), (60, 40)), False),  # 92.0 %, from 90.1 %
        (((0, 50), (50, 0)), True),
        (((2, 0), (0, 1)), True),  # all of three: so few show nothing
        (((5, 0), (0, 0)), True),  # one class alone in validation
        (((40, 0, 0), (0, 40, 0), (0, 0, 40)), False),
    ],
)
def test_a_claim_must_be_better_than_always_answering_the_commonest(
    confusion: tuple[tuple[int, ...], ...], doubted: bool
) -> None:
    """The lower end of its interval lies above the commonest class's share; otherwise it is no better than chance."""
    counted = claim(*confusion)
    found = caveats(counted, None, NAMES[: len(confusion)])

    assert [caveat.kind for caveat in found] == [CHANCE] * doubted
    assert (counted.accuracy.low <= max(map(sum, confusion)) / counted.total) == doubted
    assert all(caveat.text.startswith("no better than chance: ") for caveat in found)


def test_the_numbers_stand_in_the_sentence() -> None:
    """Where the interval begins, which class is the commonest, and what always answering it gets."""
    (found,) = caveats(claim((10, 90), (100, 800)), None, ("cat", "dog"))

    assert found.text == (
        "no better than chance: its 95 % interval begins at 78.40%, "
        "and always answering dog is right for 900 of 1,000 = 90.00%"
    )


def test_of_several_labels_the_commonest_set_is_the_measure() -> None:
    """Also where that set is none at all: 60 of 100 images have no label, so never answering any gets 60 of them."""
    labels = np.zeros((100, 3), np.bool_)
    labels[60:85, 0] = True
    labels[85:, 1:] = True
    never, half = np.zeros_like(labels), labels & (np.arange(100) % 2 == 0)[:, None]

    (found,) = caveats(several(labels, never), None, NAMES)
    assert found.kind == CHANCE
    assert found.text.endswith("always answering the commonest set of labels is right for 60 of 100 = 60.00%")
    assert several(labels, half).accuracy.correct == 80
    assert caveats(several(labels, half), None, NAMES) == ()


@given(st.data(), st.integers(1, 30), st.integers(1, 4))
def test_an_older_claim_of_several_labels_says_no_more_than_is_so(
    data: st.DataObject, count: int, classes: int
) -> None:
    """Without the count of the commonest set, what the labels' counts show of it is a lower bound, and called so."""
    labels = data.draw(arrays(np.bool_, (count, classes)))
    counted = several(labels, data.draw(arrays(np.bool_, (count, classes))))
    older = MultiLabelClaim.model_validate(counted.model_dump(exclude={"commonest_set"}))

    assert counted.commonest_set == np.unique(labels, axis=0, return_counts=True)[1].max()
    assert counted.baseline.correct == counted.commonest_set
    assert 1 <= older.baseline.correct <= counted.commonest_set
    assert "is right for at least" in baseline_in_words(older, NAMES)
    assert set(caveats(older, None, NAMES)) == set() or caveats(counted, None, NAMES)


def test_an_older_claim_of_several_labels_is_doubted_where_its_counts_show_it() -> None:
    """Nine of ten images have no label, and no label is ever answered."""
    labels = np.zeros((100, 2), np.bool_)
    labels[:10, 0] = True
    counted = several(labels, np.zeros_like(labels))
    older = counted.model_copy(update={"commonest_set": None})

    assert [caveat.kind for caveat in caveats(older, None, NAMES)] == [CHANCE]
    assert "at least 90 of 100" in baseline_in_words(older, NAMES)


@pytest.mark.parametrize("commonest", [1, 9])
def test_a_commonest_set_that_cannot_be_is_refused(commonest: int) -> None:
    """It goes with the labels' counts: of ten images of which eight have the one label, eight have the set of it."""
    labels = np.arange(10)[:, None] < 8
    content = several(labels, labels).model_dump()

    with pytest.raises(ValueError, match="number of images with the most frequent set"):
        MultiLabelClaim.model_validate(content | {"commonest_set": commonest})


@pytest.mark.parametrize(
    ("covered", "kept"),
    [(400, True), (380, True), (371, True), (370, False), (200, False)],  # of 400: 371 up to 95.01 %, 370 to 94.80 %
)
def test_a_promise_is_broken_where_its_interval_excludes_it(covered: int, kept: bool) -> None:
    """The upper end lies below what was promised."""
    promises = (sets(0.9, 390), sets(0.95, covered), sets(0.99, 400))
    found = caveats(claim((90, 10), (10, 90)), calibration(*promises), ("cat", "dog"))

    assert promises[1].kept is kept
    assert [caveat.kind for caveat in found] == [COVERAGE] * (not kept)
    assert (promises[1].counted.high >= 0.95) is kept


def test_a_broken_promise_has_its_numbers() -> None:
    """What was promised, what was counted, and the interval."""
    (found,) = caveats(claim((90, 10), (10, 90)), calibration(sets(0.95, 200)), ("cat", "dog"))

    assert found == Caveat(
        COVERAGE,
        "the promised coverage of 95% was not kept: on validation the label sets contain the truth for "
        "200 of 400 = 50.00% (95 % interval 45.00% to 55.00%)",
    )


def test_all_that_is_to_be_said_is_said() -> None:
    """Chance first, then each promise that was not kept."""
    found = caveats(claim((50, 50), (50, 50)), calibration(sets(0.9, 200), sets(0.95, 399), sets(0.99, 300)), NAMES)

    assert [caveat.kind for caveat in found] == [CHANCE, COVERAGE, COVERAGE]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "temperature 0.50: on validation the probabilities are off by 2.00% on average, without it by 10.00%"),
        (
            {"error_after": 0.15, "error_before": 0.09},
            "temperature 0.50 made it worse on validation: the probabilities are off by 15.00% on average, "
            "without it by 9.00%",
        ),
        (
            {"temperature": 1.0, "error_after": 0.09, "error_before": 0.09},
            "no temperature is applied, because none lowered the cross-validated log loss on tune: on validation the "
            "probabilities are off by 9.00% on average",
        ),
    ],
    ids=["better", "worse", "none"],
)
@pytest.mark.parametrize("interval", [None, (0.0, 0.25)], ids=["older", "with interval"])
def test_what_the_temperature_did_is_said_as_it_was_measured(
    changes: dict[str, Any], said: str, interval: tuple[float, float] | None
) -> None:
    """Nothing is called calibrated: both errors are there, which way it went, and the interval where it was counted."""
    if interval:
        said = said.replace("on average", "on average (95 % interval 0.00% to 25.00%)")

    assert calibration_in_words(calibration(**changes, error_interval=interval)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"method": "split", "judged": 1234},
            "rest on 1,234 tune images (split): with 90 % confidence over draws of them",
        ),
        ({"method": "cross", "judged": 500, "folds": 5}, "answers to 500 images (cross, 5 folds), from models trained"),
        ({}, "whose number was not recorded: their promises hold on average over draws"),
    ],
    ids=["split", "cross", "older"],
)
def test_a_guarantee_says_what_it_rests_on(changes: dict[str, Any], said: str) -> None:
    """How many images, by which method, and no more than that method guarantees."""
    words = guarantee_in_words(calibration(**changes))

    assert said in words
    assert ("nothing is guaranteed" in words) == (changes.get("method") == "cross")


def test_out_of_fold_answers_are_not_called_tune() -> None:
    """Where the folds' models chose that there is no temperature, it was not on tune."""
    plain = {"temperature": 1.0, "error_before": 0.02}

    assert "log loss of the out-of-fold answers" in calibration_in_words(
        calibration(method="cross", judged=50, folds=5, **plain)
    )
    assert "log loss on tune" in calibration_in_words(calibration(method="split", judged=50, **plain))


def test_where_nobody_judges_there_is_no_temperature() -> None:
    """And the reason is that, not a loss that none lowered."""
    plain = calibration(method="cross", judged=0, folds=1, temperature=1.0, error_before=0.02)

    reason = "no temperature is applied, because there are no calibration images: on validation "
    assert calibration_in_words(plain).startswith(reason)


def test_what_is_not_promised_has_its_reason() -> None:
    """How many images it needs, and how many there are."""
    assert withheld_in_words(Withheld(coverage=0.99, needed=230, judged=50)) == (
        "no promise of 99%: it needs 230 calibration images, and there are 50"
    )


def by_class(*counts: tuple[int, int]) -> Coverage:
    """A coverage of 90 % by class, with (covered, total) of each."""
    covered, total = zip(*counts, strict=True)
    each = ByClass(thresholds=(0.1, 0.2, 0.3), judged=(30, 40, 50), covered=covered, total=total)
    sums = {"covered": sum(covered), "total": sum(total)}
    return Coverage(promised=0.9, threshold=0.1, mean_size=1.5, by_class=each, **sums)


def test_a_promise_broken_for_one_class_names_it() -> None:
    """Though of all images it is kept; neither little less than promised nor a class without images is named."""
    rows = claim((90, 10, 0), (10, 90, 0), (0, 0, 4))
    broken, kept = by_class((97, 100), (75, 100), (4, 4)), by_class((97, 100), (86, 100), (0, 0))
    (found,) = caveats(rows, calibration(broken), NAMES)

    assert found.text == (
        "the promised coverage of 90% by class was not kept for 1 of 3 classes: on validation the label sets contain "
        f"the truth for dog (75 of 100); of all images for {broken.counted}"
    )
    assert (broken.kept_of_all, broken.kept, broken.missed) == (True, False, (1,))
    assert kept.kept
    assert caveats(rows, calibration(kept), NAMES) == ()


def test_a_promise_by_class_says_on_how_many_images_of_each_it_rests() -> None:
    """The smallest class counts, and the guarantee is about any one class."""
    words = guarantee_in_words(calibration(by_class((97, 100), (97, 100), (4, 4)), method="split", judged=120))

    assert "rest on 120 tune images, of each class at least 30 (split): " in words
    assert "at least the promised share of the sets of such images of any one class contain" in words
    assert withheld_in_words(Withheld(coverage=0.95, needed=45, judged=12, smallest="ant")) == (
        "no promise of 95% by class: it needs 45 calibration images of each class, and of class ant there are 12"
    )
