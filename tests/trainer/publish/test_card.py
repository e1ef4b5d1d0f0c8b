import re
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from tests.support.facts import LITE0
from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.backbone import HeadFacts
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.confusion import Confusion
from vouch.bundle.quantization import Count, Quantization
from vouch.bundle.reliability import Calibration, Coverage, Withheld
from vouch.bundle.training import SplitEntry, Training
from vouch.trainer.judge.acceptance import Quantized
from vouch.trainer.judge.exam import Exam
from vouch.trainer.publish import card as card_module
from vouch.trainer.publish.card import model_card

DIGEST = "0" * 64
CALIBRATION = Calibration(temperature=0.5, error_before=0.1, error_after=0.02, coverages=())


def claim(confusion: tuple[tuple[int, ...], ...]) -> Claim:
    correct, total = sum(row[k] for k, row in enumerate(confusion)), sum(map(sum, confusion))
    low, high = wilson_interval(correct, total)
    return Claim(correct=correct, total=total, low=low, high=high, confusion=Confusion.of_rows(confusion))


def exam(
    counted: Claim | MultiLabelClaim,
    calibration: Calibration = CALIBRATION,
    thresholds: tuple[float, ...] | None = None,
    quantized: Quantized | None = None,
) -> Exam:
    return Exam(b"", 0.0, np.empty((0, 2)), counted, calibration, thresholds, quantized, np.empty((0, 2)))


def training(data: str = "digits", licence: str = "") -> Training:
    return Training(
        asked={"licence": licence},
        seed=7,
        seconds=12.34,
        data=data,
        data_digest=DIGEST,
        splits={
            "fit": SplitEntry(size=54_000, digest=DIGEST),
            "tune": SplitEntry(size=3_000, digest=DIGEST),
            "validation": SplitEntry(size=2_000, digest=DIGEST),
        },
        libraries={},
        source_revision=None,
    )


CARD = model_card("pets", ("cat", "dog"), training(), exam(claim(((990, 10), (40, 960)))))


def test_the_card_counts() -> None:
    """People read how many answers were right, with the interval, for all images, for each class and for their mean."""
    assert "**1,950 of 2,000 = 97.50% (95 % interval 96.69% to 98.12%)**" in CARD
    assert "\n| cat | 990 | 1,000 | 99.00% | 98.10% to 99.49% |\n| dog | 960 | 1,000 | 96.00% | " in CARD


def test_the_card_tells_how_the_model_came_about() -> None:
    """People read what it was trained on, how many images each split has, how long it took and the seed."""
    assert "Trained on `digits` (54,000 fit, 3,000 tune, 2,000 validation) in 12.3 s with seed 7" in CARD


def as_the_hub_reads(card: str) -> ModelCardData:
    data = ModelCard(card).data
    assert isinstance(data, ModelCardData)
    return data


def results_in(card: str) -> list[EvalResult]:
    found = as_the_hub_reads(card).eval_results
    assert found
    return found


HUB_ID = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)
"""The hub refuses a data set's type that is anything else."""


def test_the_hub_reads_the_header() -> None:
    """By its own library: what the model is for, and the claim as results, each with its interval."""
    data = as_the_hub_reads(CARD)

    assert (data.license, data.library_name, data.pipeline_tag) == ("unknown", "onnx", "image-classification")
    assert data.tags == ["vouch", "onnx", "image-classification"]
    assert data.model_name == "pets"
    accuracy, balanced = results_in(CARD)
    assert (accuracy.task_type, accuracy.dataset_split) == ("image-classification", "validation")
    assert (accuracy.dataset_name, accuracy.dataset_type) == ("digits", "digits")
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", 0.975)
    assert accuracy.metric_name == "accuracy, 95 % interval 96.69% to 98.12%"
    assert (balanced.metric_type, balanced.metric_value) == ("balanced_accuracy", 0.975)


def test_the_header_holds_what_a_person_sees_after_it() -> None:
    """The hub's library writes the same metadata back, and the text below begins with the model's name."""
    card = ModelCard(CARD)

    assert ModelCard(f"---\n{card.data.to_yaml()}\n---\n{card.text}").data.to_dict() == card.data.to_dict()
    assert card.text.lstrip().startswith("# pets\n")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('/data/"my": {дом} --- # \\ 1.npz', "data-my-----1.npz"),
        ("my photos", "my-photos"),
        ("дом", "data"),
        ("digits", "digits"),
    ],
)
def test_any_name_of_the_data_fits_into_the_header(data: str, kind: str) -> None:
    """Quotes, colons, hyphens and other letters do not break it, and the hub takes the type made from it."""
    card = model_card("pets", ("cat", "dog"), training(data), exam(claim(((1, 0), (0, 1)))))
    result = results_in(card)[0]

    assert (result.dataset_name, result.dataset_type) == (data, kind)
    assert HUB_ID.fullmatch(kind)


def test_the_licence_is_the_one_that_was_said() -> None:
    """In the header and in the text, also where YAML would read a number; without one the text has no word of it."""
    card = model_card("pets", ("cat", "dog"), training(licence="0.1"), exam(claim(((1, 0), (0, 1)))))

    assert as_the_hub_reads(card).license == "0.1"
    assert card.endswith("\nLicence of this model: 0.1.\n")
    assert "Licence of this model" not in CARD


def test_labels_do_not_break_the_table() -> None:
    """A label with a bar or a line break stays in its cell."""
    card = model_card("pets", ("cat|dog", "a\nb"), training(), exam(claim(((1, 0), (0, 1)))))

    assert "\n| cat\\|dog | 1 | 1 | 100.00% | 5.46% to 100.00% |\n| a b | 1 | 1 | 100.00% | " in card


def test_a_class_without_images_has_no_accuracy_to_speak_of() -> None:
    """A class that the validation split lacks is listed with 0 of 0."""
    card = model_card("pets", ("cat", "dog"), training(), exam(claim(((1, 0), (0, 0)))))

    assert "| dog | 0 | 0 | - | - |" in card
    assert "every class counts the same: 100.00% (95 % interval 5.46% to 100.00%), the mean of 1 class.\n" in card


def test_the_card_tells_how_far_to_rely_on_it() -> None:
    """Calibration error with and without the temperature, and every promise beside what was counted of it."""
    sets = Coverage(promised=0.95, threshold=0.4, covered=191, total=200, mean_size=1.25)
    withheld = Withheld(coverage=0.99, needed=230, judged=60)
    calibration = CALIBRATION.model_copy(
        update={"coverages": (sets,), "withheld": (withheld,), "method": "split", "judged": 60}
    )
    card = model_card("pets", ("cat", "dog"), training(), exam(claim(((99, 1), (4, 96))), calibration))

    assert "temperature 0.50: on validation the probabilities are off by 2.00% on average, without it by 10.00%" in card
    assert f"| 95% | {sets.counted} | yes | 1.25 |\n\nNo promise of 99%: it needs 230 calibration images, and" in card
    assert "\nrest on 60 tune images (split): with 90 % confidence over draws of them, at least" in card
    assert "WARNING" not in card


def test_a_card_without_a_promise_says_why() -> None:
    """No table of label sets, and a sentence for each coverage."""
    withheld = tuple(Withheld(coverage=share, needed=needed, judged=7) for share, needed in ((0.9, 22), (0.95, 45)))
    calibration = CALIBRATION.model_copy(update={"withheld": withheld, "method": "cross", "judged": 7, "folds": 5})
    card = model_card("pets", ("cat", "dog"), training(), exam(claim(((99, 1), (4, 96))), calibration))

    assert "\n\nNo promise of 90%: it needs 22 calibration images, and there are 7.\n\nNo promise of 95%: " in card
    assert "Label sets" not in card


def test_the_card_of_a_model_no_better_than_chance_says_so() -> None:
    """In a box of its own below the claim, which GitHub and Hugging Face colour."""
    card = model_card("pets", ("cat", "dog|s"), training(), exam(claim(((10, 90), (100, 800)))))
    _, below = card.split("the mean of 2 classes.\n")

    assert below.startswith(
        "For comparison: always answering dog\\|s is right for 900 of 1,000 = 90.00%.\n\n> [!WARNING]\n"
    )
    assert "> - **Warning:** no better than chance: its 95 % interval begins at 78.40%, and" in card
    assert "no better than chance" not in CARD
    assert "For comparison: always answering cat is right for 1,000 of 2,000 = 50.00%." in CARD


def test_the_card_of_a_broken_promise_says_so() -> None:
    """In the table and in the box."""
    sets = Coverage(promised=0.95, threshold=0.4, covered=150, total=200, mean_size=1.25)
    broken = CALIBRATION.model_copy(update={"coverages": (sets,)})
    card = model_card("pets", ("cat", "dog"), training(), exam(claim(((99, 1), (4, 96))), broken))

    assert f"| 95% | {sets.counted} | **no** | 1.25 |" in card
    assert "> - **Warning:** the promised coverage of 95% was not kept: " in card


def test_nothing_is_called_calibrated() -> None:
    """Where the temperature made it worse on validation the card says that, and where none is applied, why."""
    worse = CALIBRATION.model_copy(update={"error_before": 0.09, "error_after": 0.15})
    unapplied = CALIBRATION.model_copy(update={"temperature": 1.0, "error_before": 0.02})
    cards = [
        model_card("pets", ("cat", "dog"), training(), exam(claim(((99, 1), (4, 96))), calibration))
        for calibration in (CALIBRATION, worse, unapplied)
    ]

    assert (
        "made it worse on validation: the probabilities are off by 15.00% on average, without it by 9.00%" in cards[1]
    )
    assert "no temperature is applied, because none lowered the cross-validated log loss" in cards[2]
    assert not any("calibrated" in card for card in cards)


def test_the_card_of_several_labels_tells_each() -> None:
    """What counts as right, and for each label threshold, images, precision and recall, where there are any."""
    low, high = wilson_interval(7, 10)
    per_label = (((4, 1), (1, 4)), ((9, 1), (0, 0)), ((8, 0), (2, 0)))
    counted = MultiLabelClaim(correct=7, total=10, low=low, high=high, per_label=per_label)
    card = model_card("pets", ("cat", "dog", "ant"), training(), exam(counted, thresholds=(0.5, 0.25, 0.75)))

    assert "7 of 10" in card
    assert "An image counts as right if exactly its labels are answered" in card
    assert "| cat | 0.50 | 5 | 80.00% | 80.00% |" in card
    assert "| dog | 0.25 | 0 | 0.00% | - |" in card
    assert "| ant | 0.75 | 2 | - | 0.00% |" in card
    assert "temperature 0.50" in card
    assert "promise" not in card


def test_the_card_of_a_quantized_model_tells_what_that_cost() -> None:
    """Right answers to calibration images, in int8 and float32; why it was refused; else there is no such sentence."""
    counts = {"float_tune": Count(correct=98, total=100), "tune": Count(correct=97, total=100)}
    facts = Quantization(kind="int8", max_drop=1, only_float=2, only_int8=1, **counts)
    quantized = Quantized(b"", facts, 3, b"", np.empty((0, 2)))
    found = exam(claim(((1, 0), (0, 1))), quantized=quantized)
    refused = replace(found, quantized=None, int8_refused="7 | 8 images are too few")
    cards = [model_card("pets", ("cat", "dog"), training(), one) for one in (found, refused)]

    assert "computes in int8" in cards[0]
    assert (
        "Compared with the float32 graph:\n97 of 100 calibration images right, in float32 98; "
        "2 only in float32, 1 only in int8" in cards[0]
    )
    assert "computes in float32. int8 was requested but not used: 7 \\| 8 images are too few." in cards[1]
    assert "int8" not in CARD


def test_images_that_were_trained_on_are_not_called_unseen() -> None:
    """Where the user allowed them, the card says how many there are."""
    card = model_card("pets", ("cat", "dog"), training(), exam(claim(((1, 0), (0, 1)))), known=7)

    assert "not used in training, except 7 of them." in card
    assert "except" not in CARD


def test_the_card_says_that_groups_were_kept_apart() -> None:
    """That is more than no image twice; and it says how many were not, where that was allowed."""
    asked = training().model_copy(update={"asked": {"groups": "patient"}})
    counted = exam(claim(((1, 0), (0, 1))))

    assert "not used in training, and neither were others of their groups." in model_card(
        "m", ("a", "b"), asked, counted
    )
    excepted = model_card("m", ("a", "b"), asked, counted, known=7)
    assert "not used in training, except 7 of them, or others of their groups." in excepted


def test_of_very_many_classes_the_least_accurate_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, with their number and that of all; the card of 10,000 classes stays one that can be read."""
    monkeypatch.setattr(card_module, "MOST_ROWS", 2)
    counted = exam(claim(((1, 1, 0), (0, 2, 0), (3, 0, 1))))
    card = model_card("pets", ("cat", "dog", "owl"), training(), counted)

    assert "The 2 of 3 classes with the lowest recall:" in card
    assert re.findall(r"^\| (\w+) \| \d", card, re.MULTILINE) == ["cat", "owl"]


def test_the_card_names_the_licence_and_the_digest_of_a_backbone() -> None:
    """Whoever gets the bundle gets its weights too; of a network of our own there is nothing to say."""
    head = HeadFacts(penalty=0.1, folds=10, loss=0.2, accuracy=0.95)
    on_backbone = training().model_copy(update={"backbone": LITE0, "head": head})
    found, without = (
        model_card("m", ("a", "b"), one, exam(claim(((5, 0), (0, 5))))) for one in (on_backbone, training())
    )

    for said in (
        "`lite0`",
        "the licence Apache-2.0",
        "a package 0.1.0",
        "a" * 64,
        "accuracy on fit is 95.00% (10 folds)",
    ):
        assert said in found
    assert "licence" not in without
