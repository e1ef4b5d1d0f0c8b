import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouch.sources.examples import Examples, Source
from vouch.sources.names import Names
from vouch.sources.split_names import Part, SplitName
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.split import Splits, data_digest, make_splits

CLASSES = ("a", "b", "c")


def different(count: int, start: int = 0) -> np.ndarray:
    """So many images of 2 x 2, no two alike, and none like those of another start."""
    numbers = np.arange(start, start + count, dtype=">u4")
    return np.frombuffer(numbers.tobytes(), np.uint8).reshape(count, 2, 2).copy()


def examples(labels: list[int], start: int = 0) -> Examples:
    return Examples(different(len(labels), start), np.array(labels, dtype=np.int64))


def of(**splits: Examples) -> Source:
    """A source with these splits."""
    names: dict[str, SplitName] = {"all": "all", "fit": "fit", "tune": "tune", "validation": "validation"}
    parts = {names[name]: replace(part, names=Names(name)) for name, part in splits.items()}
    return Source("made up", CLASSES, parts)


def split(source: Source, seed: int = 0, allow_duplicates: bool = False) -> Splits:
    return make_splits(source, tune_share=0.1, validation_share=0.2, seed=seed, allow_duplicates=allow_duplicates)


def contents(part: Examples) -> list[tuple[bytes, int]]:
    return [(image.tobytes(), label) for image, label in zip(part.images, part.labels.tolist(), strict=True)]


def images_in(part: Examples) -> set[bytes]:
    return {image for image, _ in contents(part)}


HUNDRED = examples([0] * 50 + [1] * 30 + [2] * 20)


def test_each_part_has_its_share_of_every_class() -> None:
    """Validation has its share of all images and tune of the rest, class by class."""
    made = split(of(all=HUNDRED))

    assert np.bincount(made.validation.labels).tolist() == [10, 6, 4]
    assert np.bincount(made.tune.labels).tolist() == [4, 2, 2]
    assert np.bincount(made.fit.labels).tolist() == [36, 22, 14]
    assert made.classes == CLASSES
    assert made.warnings == ()


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 2), min_size=0, max_size=40),
    st.floats(0.01, 0.49),
    st.floats(0.01, 0.89),
    st.integers(0, 2**32 - 1),
)
def test_every_example_is_in_one_part(labels: list[int], tune: float, validation: float, seed: int) -> None:
    """Whatever the shares and the seed: no image is lost, doubled or relabelled, and each part has each class."""
    everything = examples(labels + [0, 1, 2] * 3)
    made = make_splits(of(all=everything), tune, validation, seed, allow_duplicates=False)
    parts = list(made.by_name.values())

    assert sorted(pair for part in parts for pair in contents(part)) == sorted(contents(everything))
    assert all(set(part.labels.tolist()) == {0, 1, 2} for part in parts)


def test_the_split_follows_from_the_seed() -> None:
    """The same seed gives the same split to the last byte, another seed another one."""
    first, again, other = (split(of(all=HUNDRED), seed).digests() for seed in (1, 1, 2))

    assert first == again
    assert first["validation"] != other["validation"]
    assert first["tune"] != other["tune"]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=60), st.integers(0, 1000))
def test_duplicates_are_never_parted(copies: list[int], seed: int) -> None:
    """Equal images always go to one part together, so that none that was trained on is counted on."""
    originals = examples([0, 1] * 5 + [2] * 10)
    everything = originals[np.concatenate([np.arange(20), np.array(copies)])]
    made = split(of(all=everything), seed)
    fit, tune, validation = (images_in(part) for part in made.by_name.values())

    assert not fit & tune
    assert not fit & validation
    assert not tune & validation
    assert sum(map(len, made.by_name.values())) == len(everything)


def test_equal_images_with_different_labels_stay_together() -> None:
    """Two labels for one image are a fault of the data, but still no reason to train on what is counted on."""
    labels = HUNDRED.labels.copy()
    images = HUNDRED.images[:].copy()
    images[50:60] = images[:10]
    made = split(of(all=Examples(images, labels)))

    assert not images_in(made.fit) & images_in(made.validation)
    assert not images_in(made.tune) & images_in(made.validation)


def test_repeated_images_are_reported() -> None:
    """How many images repeat an earlier one is said, because they count more than others."""
    doubled = HUNDRED[np.concatenate([np.arange(100), np.arange(100)])]
    made = split(of(all=doubled))

    fit, unseen = len(made.fit), len(made.validation)
    assert made.warnings == (
        f"{fit // 2} of {fit} fit images repeat an earlier one exactly",
        f"{unseen // 2} of {unseen} validation images repeat an earlier one exactly, so the claim is based on fewer",
    )


def test_splits_that_come_with_the_data_are_kept() -> None:
    """Where the source has all three splits, each is used as it is."""
    fit, tune, validation = examples([0, 1, 2] * 4), examples([0, 1, 2], 100), examples([0, 1, 2] * 2, 200)
    made = split(of(validation=validation, tune=tune, fit=fit))

    assert [contents(part) for part in made.by_name.values()] == [contents(part) for part in (fit, tune, validation)]


def test_tune_is_taken_from_fit() -> None:
    """Where the source has fit and validation, as most have, tune is a share of fit and validation stays whole."""
    fit, validation = examples([0, 1, 2] * 10), examples([0, 1, 2] * 2, 200)
    made = split(of(fit=fit, validation=validation))

    assert contents(made.validation) == contents(validation)
    assert np.bincount(made.tune.labels).tolist() == [1, 1, 1]
    assert sorted(contents(made.fit) + contents(made.tune)) == sorted(contents(fit))


@pytest.mark.parametrize("seen_in", ["fit", "tune"])
def test_a_validation_image_that_was_trained_on_is_refused(seen_in: str) -> None:
    """A claim on images that were trained on vouches for nothing; the message counts them and says where they are."""
    parts = {"fit": examples([0, 1, 2] * 4), "tune": examples([0, 1, 2], 100), "validation": examples([0, 1, 2], 200)}
    parts["validation"].images[1:] = parts[seen_in].images[1:3]

    same = rf"validation\[1\] is {seen_in}\[1\]; validation\[2\] is {seen_in}\[2\]"
    with pytest.raises(TrainError, match=rf"2 of 3 validation images are also in {seen_in} \({same}\); .*--allow"):
        split(of(**parts))


def test_it_can_be_allowed() -> None:
    """With the user's leave the training goes on with the same images, and the fault is reported."""
    parts = {"fit": examples([0, 1, 2] * 4), "tune": examples([0, 1, 2], 100), "validation": examples([0, 1, 2], 200)}
    parts["validation"].images[:1] = parts["fit"].images[:1]
    made = split(of(**parts), allow_duplicates=True)

    assert contents(made.validation) == contents(parts["validation"])
    assert made.known == 1
    assert made.warnings == (
        "1 of 3 validation images are also in fit (validation[0] is fit[0]): "
        "the claim is partly about images that were trained on",
    )


def test_validation_images_that_repeat_each_other_are_reported() -> None:
    """Twice the same image is one answer, so the interval of the claim would be too narrow."""
    parts = {
        "fit": examples([0, 1, 2] * 4),
        "tune": examples([0, 1, 2], 100),
        "validation": examples([0, 1, 2, 2], 200),
    }
    parts["validation"].images[3] = parts["validation"].images[2]
    made = split(of(**parts))

    assert made.known == 0
    assert made.warnings == ("1 of 4 validation images repeat an earlier one exactly, so the claim is based on fewer",)


def test_equal_images_with_other_labels_are_reported() -> None:
    """At least one of them is labelled wrongly, or the image alone does not tell."""
    parts = {"fit": examples([0, 1, 2] * 4), "tune": examples([0, 1, 2], 100), "validation": examples([0, 1, 2], 200)}
    parts["fit"].images[1] = parts["fit"].images[0]

    assert split(of(**parts)).warnings[-1] == ("1 image has another label than an earlier one that is exactly the same")


def test_tune_images_that_are_fitted_are_reported() -> None:
    """They make the choice of the epoch worse, not the claim wrong: training goes on, with a warning."""
    parts = {"fit": examples([0, 1, 2] * 4), "tune": examples([0, 1, 2], 100), "validation": examples([0, 1, 2], 200)}
    parts["tune"].images[:2] = parts["fit"].images[:2]

    assert split(of(**parts)).warnings == ("2 of 3 tune images are also in fit",)


def noise(labels: list[int], seed: int) -> Examples:
    """Images of 8 x 8 that are alike in nothing."""
    images = np.random.default_rng(seed).integers(0, 200, (len(labels), 8, 8), np.uint8)
    return Examples(images, np.array(labels, dtype=np.int64))


def test_images_that_are_nearly_the_same_are_reported() -> None:
    """Brightened copies in two splits are a warning each, and never an error: only the user can tell what they mean."""
    parts = {"fit": noise([0, 1, 2] * 4, 0), "tune": noise([0, 1, 2], 1), "validation": noise([0, 1, 2] * 2, 2)}
    parts["validation"].images[1:3] = parts["fit"].images[7:9] + np.uint8(9)
    parts["validation"].images[5] = parts["tune"].images[2] + np.uint8(3)
    parts["tune"].images[0] = parts["fit"].images[4] + np.uint8(20)

    assert split(of(**parts)).warnings == (
        "2 of 6 validation images are nearly the same as one in fit "
        "(validation[1] like fit[7]; validation[2] like fit[8])",
        "1 of 6 validation images is nearly the same as one in tune (validation[5] like tune[2])",
        "1 of 3 tune images is nearly the same as one in fit (tune[0] like fit[4])",
    )


def test_near_ones_in_a_seeded_split_are_told_by_their_place_in_the_data() -> None:
    """Where they may be parted. Numbers of a split that Vouch drew itself would mean nothing to the user."""
    everything = noise([0, 1, 2] * 20, 0)
    everything.images[30:] = everything.images[:30] + np.uint8(5)
    warnings = make_splits(of(all=everything), 0.1, 0.2, 0, allow_duplicates=False, keep_alike=False).warnings
    numbers = [(int(a), int(b)) for text in warnings for a, b in re.findall(r"all\[(\d+)\] like all\[(\d+)\]", text)]

    assert any(" nearly the same as one in fit" in text for text in warnings)
    assert numbers
    assert all(abs(a - b) == 30 for a, b in numbers)


def test_files_are_called_by_their_names() -> None:
    """From files, both are named as the user knows them, also where the split is Vouch's own."""
    parts: dict[SplitName, Examples] = {
        "fit": noise([0, 1, 2] * 4, 0),
        "tune": noise([0, 1, 2], 1),
        "validation": noise([0, 1, 2], 2),
    }
    parts["validation"].images[1] = parts["fit"].images[7] + np.uint8(9)
    parts["validation"].images[2] = parts["fit"].images[8]
    named: dict[SplitName, Examples] = {
        name: replace(part, names=Names(folder=Path("x"), files=[f"{name}/cat/{k}.png" for k in range(12)]))
        for name, part in parts.items()
    }
    everything = named["fit"][np.arange(12).repeat(2)]
    everything.images[1::2] += np.uint8(3)

    found = split(Source("x", CLASSES, named), allow_duplicates=True).warnings
    whole = Source("x", CLASSES, {"all": everything})
    drawn = make_splits(whole, 0.1, 0.2, 0, allow_duplicates=False, keep_alike=False).warnings

    assert "validation/cat/2.png is fit/cat/8.png" in found[0]
    assert "validation/cat/1.png like fit/cat/7.png" in found[1]
    assert re.search(
        r"validation images (?:is|are) nearly the same as one in fit \(fit/cat/(\d+)\.png like fit/cat/\1", drawn[0]
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (of(all=examples([0, 0, 0, 1, 1, 1])), "class c has no examples in the data; it needs at least 3"),
        (of(all=examples([0, 0, 0, 1, 1, 1, 2, 2])), "class c has 2 examples in the data; it needs at least 3"),
        (of(all=examples([0] * 3)), r"class b \(and 1 more\) has no examples in the data"),
        (
            of(fit=examples([0, 0, 1, 1, 2]), validation=examples([0, 1, 2], 100)),
            "class c has 1 example in fit; it needs at least 2",
        ),
        (
            of(fit=examples([0, 1, 2] * 2), validation=examples([0, 1], 100)),
            "class c has no examples in validation; it needs at least one",
        ),
        (
            of(fit=examples([0, 1, 2] * 2), tune=examples([0, 2], 50), validation=examples([0, 1, 2], 100)),
            "class b has no examples in tune; it needs at least one",
        ),
        (
            of(all=Examples(different(1).repeat(9, axis=0), np.array([0, 1, 2] * 3))),
            "class .* has no examples in",
        ),
        (of(all=examples([0, 0, 1, 1])), "fewer than two classes have enough images: add images"),
        (of(all=examples([0, 0, 1, 1, 1, 2, 2, 2])), "--leave-out-small-classes trains without such classes"),
        (of(fit=examples([0, 1, 2] * 2)), r"class a \(and 2 more\) has 2 examples in fit; it needs at least 3"),
        (of(validation=examples([0, 1, 2] * 2)), "made up has no fit split; it has validation"),
        (of(tune=examples([0, 1, 2] * 2)), "made up has no fit and no validation split; it has tune"),
    ],
)
def test_a_class_or_split_that_is_missing_is_refused(source: Source, message: str) -> None:
    """Every class needs an example in every part; the message names the class, the split and how many it needs."""
    with pytest.raises(TrainError, match=message):
        split(source)


def test_the_source_stays_as_it_is() -> None:
    """Splitting changes neither the order nor the pixels nor the labels of what it was given."""
    before = contents(HUNDRED)
    split(of(all=HUNDRED))

    assert contents(HUNDRED) == before


def test_the_digests_tell_the_data() -> None:
    """The digest of the data changes with any image, label or division, and not with the order they are told in."""
    made = split(of(all=HUNDRED))
    digests = made.digests()
    turned: dict[Part, str] = {name: digests[name] for name in ("validation", "tune", "fit")}
    swapped: dict[Part, str] = {**digests, "fit": digests["tune"], "tune": digests["fit"]}
    relabelled = Splits(CLASSES, made.fit, made.tune, Examples(made.validation.images, 2 - made.validation.labels), ())

    assert data_digest(turned) == data_digest(digests)
    assert data_digest(swapped) != data_digest(digests)
    assert data_digest(relabelled.digests()) != data_digest(digests)


@pytest.mark.parametrize("tuned", [False, True])
def test_a_validation_split_that_is_missing_is_made_of_fit(tuned: bool) -> None:
    """Its share of every class, and none of it stays in fit; a tune split that is there is left as it is."""
    own = {"tune": examples([0, 1, 2], start=1000)} if tuned else {}

    made = split(of(fit=HUNDRED, **own))

    assert np.bincount(made.validation.labels).tolist() == [10, 6, 4]
    assert not images_in(made.validation) & (images_in(made.fit) | images_in(made.tune))
    assert len(made.fit) + len(made.tune) == 80 + 3 * tuned
    assert not tuned or contents(made.tune) == contents(own["tune"])
