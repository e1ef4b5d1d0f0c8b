import pytest

from vouch.cli.nearest import did_you_mean, nearest

COMMANDS = ("train", "serve", "status", "evaluate", "health")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("tran", "train"),
        ("Train", "train"),
        ("trian", "train"),
        ("server", "serve"),
        ("eval", "evaluate"),
        ("ev", "evaluate"),
        ("st", "status"),
        ("s", ""),
        ("guess", ""),
        ("", ""),
        ("train" * 1000, ""),
    ],
)
def test_the_name_that_is_most_like_the_word_is_meant(word: str, name: str) -> None:
    """Slips of the finger, another case and an unambiguous beginning; nothing where nothing is like it."""
    assert nearest(word, COMMANDS) == name


def test_hyphens_and_underscores_are_the_same() -> None:
    """People write flags as keys and keys as flags."""
    assert nearest("batch-size", ["batch_size", "max_batch_size"]) == "batch_size"
    assert nearest("--qwxz", ["--epochs", "--seed"]) == ""


def test_the_question_is_left_out_where_nothing_was_meant() -> None:
    """It is put behind what was wrong."""
    assert did_you_mean("tran", COMMANDS) == "; did you mean train?"
    assert did_you_mean("guess", COMMANDS) == ""
