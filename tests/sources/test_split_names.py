import pytest

from vouch.sources.errors import SourceError
from vouch.sources.split_names import how_taken, is_split, split_in, splits_of


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        ("train val", "fit validation"),
        ("train valid", "fit validation"),
        ("train validate", "fit validation"),
        ("train dev", "fit validation"),
        ("train test", "fit validation"),
        ("training testing", "fit validation"),
        ("training_set test_set", "fit validation"),
        ("seg_train seg_test", "fit validation"),
        ("Train TEST", "fit validation"),
        ("trainset valset", "fit validation"),
        ("train2017 val2017", "fit validation"),
        ("train valid test", "fit tune validation"),
        ("test train validation", "validation fit tune"),
        ("TRAIN Dev Testing", "fit tune validation"),
        ("Training PublicTest PrivateTest", "fit tune validation"),
        ("fit tune validation", "fit tune validation"),
        ("train tune test", "fit tune validation"),
        ("train t10k", "fit validation"),
        ("train80 test20", "fit validation"),
        ("train evaluation", "fit validation"),
        ("training validation evaluation", "fit tune validation"),
        ("train eval test", "fit tune validation"),
        ("train", "fit"),
        ("validation", "validation"),
        ("test", "validation"),
    ],
)
def test_names_mean_splits_beside_each_other(names: str, meaning: str) -> None:
    """Of two the second is validation, whatever it is called; of three the middle one is tune."""
    assert list(splits_of(names.split(), "here").values()) == meaning.split()


@pytest.mark.parametrize("name", ["cat", "trains", "trainer", "images", "set", "2017", "", "tr\u00e4in", "x" * 300])
def test_other_names_mean_no_split(name: str) -> None:
    """They are left away, and no class is taken for a split by half of its name."""
    assert not is_split(name)
    assert splits_of([name, "train"], "here") == {"train": "fit"}


@pytest.mark.parametrize("names", ["train Training", "train val dev", "train val tune test", "train Train val"])
def test_two_names_for_one_split_are_named(names: str) -> None:
    """Neither is guessed to be the right one."""
    with pytest.raises(SourceError, match=r"^here: (\w+) and (\w+) both mean (fit|tune|validation); expected one name"):
        splits_of(names.split(), "here")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("emnist-letters-train", "train"),
        ("x_train", "train"),
        ("X_TEST", "TEST"),
        ("train_images", "train"),
        ("trainLabels", "train"),
        ("val_set_labels", "val_set"),
        ("fit_images", "fit"),
        ("t10k", "t10k"),
        ("PublicTest-images", "PublicTest"),
        ("images", ""),
        ("train_test", ""),
        ("constraints", ""),
    ],
)
def test_a_longer_name_has_a_split_in_it(name: str, split: str) -> None:
    """As keys of arrays and names of files have it; two splits in one name are none."""
    assert split_in(name) == split


def test_how_names_were_taken_is_one_sentence() -> None:
    """In the order of what splits are for; a name that means itself is said once."""
    assert how_taken({"test": "validation", "train": "fit", "tune": "tune"}) == (
        "splits: train as fit, tune, test as validation"
    )
