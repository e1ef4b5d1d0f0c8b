import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouch.sources.examples import Examples, Source
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.split import make_splits
from vouch.trainer.splits.stratify import stratify


def drawn(count: int, frequencies: list[float], seed: int = 0) -> np.ndarray:
    """Labels of so many examples, bool of shape (count, K), each with its frequency."""
    return np.random.default_rng(seed).random((count, len(frequencies))) < np.array(frequencies)


def source_of(labels: np.ndarray) -> Source:
    """Images with these labels, no two alike."""
    pixels = np.arange(len(labels), dtype=">u4").view(np.uint8).reshape(-1, 2, 2)
    return Source("made up", tuple(f"label {k}" for k in range(labels.shape[1])), {"all": Examples(pixels, labels)})


def one_by_one(labels: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Rows that nothing keeps together."""
    return stratify(labels, np.arange(len(labels)), share, keep, random)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_label_keeps_its_share(share: float, seed: int) -> None:
    """Of every label, common or rare, the second part has its share up to an example or two; of all rows too."""
    labels = drawn(1000, [0.5, 0.3, 0.1, 0.05, 0.02], seed)

    second = one_by_one(labels, share, 1, np.random.default_rng(seed))

    assert np.abs(labels[second].sum(axis=0) - share * labels.sum(axis=0)).max() <= 2
    assert abs(second.sum() - share * len(labels)) <= 5


def test_chance_alone_would_not_keep_it() -> None:
    """The oracle of the test above can fail: a plain random fifth is further off, in the mean over many draws."""
    labels = drawn(1000, [0.5, 0.3, 0.1, 0.05, 0.02])
    ideal = 0.2 * labels.sum(axis=0)
    plain, stratified = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        plain.append(np.abs(labels[random.permutation(1000)[:200]].sum(axis=0) - ideal).max())
        stratified.append(np.abs(labels[one_by_one(labels, 0.2, 1, random)].sum(axis=0) - ideal).max())

    assert np.mean(plain) > 4 * np.mean(stratified)


def test_the_parts_follow_from_the_seed() -> None:
    """The same generator gives the same parts, another one others."""
    labels = drawn(200, [0.5, 0.2])
    first, again, other = (one_by_one(labels, 0.2, 1, np.random.default_rng(seed)) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_what_is_given_stays_as_it_is() -> None:
    """The labels are read, not used up."""
    labels = drawn(50, [0.5, 0.2])
    before = labels.copy()
    one_by_one(labels, 0.2, 1, np.random.default_rng(0))

    np.testing.assert_array_equal(labels, before)


@settings(max_examples=100)
@given(st.integers(3, 40), st.integers(2, 5), st.floats(0.01, 0.9), st.sampled_from([1, 2]), st.integers(0, 2**32 - 1))
def test_disjoint_labels_are_in_both_parts(count: int, classes: int, share: float, keep: int, seed: int) -> None:
    """Where each row has one label, each of at least three rows is in both parts, and `keep` of them in the first."""
    labels = np.repeat(np.eye(classes, dtype=np.bool_), count, axis=0)

    second = one_by_one(labels, share, keep, np.random.default_rng(seed))

    assert (labels[second].sum(axis=0) >= 1).all()
    assert (labels[~second].sum(axis=0) >= keep).all()


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.5), st.sampled_from([1, 2]))
def test_rare_labels_are_in_both_parts(seed: int, share: float, keep: int) -> None:
    """Three examples of a label among hundreds, overlapping with common ones: still in both parts."""
    labels = drawn(300, [0.5, 0.3, 0.0, 0.0], seed)
    random = np.random.default_rng(seed)
    for rare in (2, 3):
        labels[random.choice(300, 3, replace=False), rare] = True

    second = one_by_one(labels, share, keep, random)

    assert (labels[second].sum(axis=0) >= 1).all()
    assert (labels[~second].sum(axis=0) >= keep).all()


def test_rows_without_any_label_are_dealt_out_too() -> None:
    """They fill up the second part to its share of all rows."""
    labels = np.zeros((100, 2), dtype=np.bool_)
    labels[:10, 0] = labels[5:15, 1] = True

    second = one_by_one(labels, 0.2, 1, np.random.default_rng(0))

    assert second.sum() == 20
    assert 14 <= second[15:].sum() <= 18


def test_a_label_of_one_row_stays_in_the_first_part() -> None:
    """A label that cannot be in both parts is where it can be learned."""
    labels = drawn(50, [0.5, 0.0])
    labels[7] = (False, True)

    assert not one_by_one(labels, 0.2, 1, np.random.default_rng(0))[7]


def test_thousands_of_labels_are_no_matter_of_minutes() -> None:
    """2,000 rare labels on 5,000 images: nearly all are in both parts. (Slower than linear, this would not end.)"""
    random = np.random.default_rng(0)
    labels = np.zeros((5000, 2000), dtype=np.bool_)
    for label in range(2000):
        labels[random.choice(5000, 3, replace=False), label] = True

    second = one_by_one(labels, 0.2, 2, random)

    assert (labels[second].any(axis=0) & labels[~second].any(axis=0)).mean() > 0.95


def test_a_split_of_several_labels_has_each_in_every_part() -> None:
    """Through `make_splits`: all images are there once, and each label has its share of validation."""
    source = source_of(drawn(500, [0.4, 0.1, 0.03]))

    made = make_splits(source, 0.1, 0.2, seed=0, allow_duplicates=False)

    parts = made.by_name.values()
    counts = source.splits["all"].labels.sum(axis=0)
    assert made.task == "multi_label"
    assert len({image.tobytes() for part in parts for image in part.images}) == sum(map(len, parts)) == 500
    assert np.abs(made.validation.labels.sum(axis=0) - 0.2 * counts).max() <= 2
    assert all(part.labels.any(axis=0).all() for part in parts)


@pytest.mark.parametrize(
    ("fit", "validation", "message"),
    [
        (
            [[1, 0], [0, 1]] * 4,
            [[0, 0], [0, 0]],
            r"class x \(and 1 more\) has no examples in validation; it needs at le",
        ),
        ([[1, 0], [0, 1]] * 4, [[1, 0]], "class y has no examples in validation"),
        ([[1, 0], [1, 1], [0, 0]], [[1, 1]], "class y has 1 example in fit; it needs at least 2"),
        ([[1, 0]] * 3, [[1, 1]], "class y has no examples in fit"),
    ],
)
def test_a_label_that_a_split_lacks_is_refused(fit: list[list[int]], validation: list[list[int]], message: str) -> None:
    """A claim about a label that no validation image has would be empty; class, split and need are named."""
    labels = {"fit": np.array(fit, np.bool_), "validation": np.array(validation, np.bool_)}
    pixels = np.arange(len(fit) + len(validation), dtype=">u4").view(np.uint8).reshape(-1, 2, 2)
    source = Source(
        "made up",
        ("x", "y"),
        {
            "fit": Examples(pixels[: len(fit)], labels["fit"]),
            "validation": Examples(pixels[len(fit) :], labels["validation"]),
        },
    )

    with pytest.raises(TrainError, match=message):
        make_splits(source, 0.1, 0.2, seed=0, allow_duplicates=False)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(2, 25), st.floats(0.05, 0.6), st.integers(1, 2), st.integers(0, 1000))
def test_what_belongs_together_goes_to_one_part(count: int, units: int, share: float, keep: int, seed: int) -> None:
    """As a whole; and where several units have a label, enough of them stay and one goes, if labels are alone."""
    random = np.random.default_rng(seed)
    unit = random.integers(0, units, count)
    labels = np.eye(3, dtype=bool)[unit % 3]

    second = stratify(labels, unit, share, keep, random)

    assert len(np.unique(unit[second])) + len(np.unique(unit[~second])) == len(np.unique(unit))
    for label in range(3):
        of_label = np.unique(unit[labels[:, label]])
        if len(of_label) > keep:
            gone = len(np.unique(unit[second & labels[:, label]]))
            assert 1 <= gone <= len(of_label) - keep


def test_units_of_several_labels_are_in_proportion() -> None:
    """Of 60 patients with one to nine images the second part has about its share of images, and of each label."""
    random = np.random.default_rng(0)
    unit = np.repeat(np.arange(60), random.integers(1, 10, 60))
    labels = random.random((len(unit), 4)) < np.array([0.6, 0.4, 0.2, 0.1])

    second = stratify(labels, unit, 0.25, 1, random)

    assert 0.2 < second.mean() < 0.3
    assert (labels[second].sum(axis=0) / labels.sum(axis=0) > 0.15).all()
