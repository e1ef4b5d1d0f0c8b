import pytest

from vouch.sources.errors import SourceError
from vouch.sources.label_pattern import check_pattern, labels_in, suggestion


def test_the_group_is_the_label() -> None:
    """In a file's name; names without a match, or with an empty one, have none."""
    paths = ["a/cat.0.png", "dog.1.png", "7.png", "b/ .png", "\udcffx.png"]

    assert labels_in(r"^([^\d.]*)\.", paths) == ["cat", "dog", None, None, "\udcffx"]


def test_an_expression_that_takes_for_ever_is_ended() -> None:
    """It can be interrupted by nothing but the end of its process."""
    with pytest.raises(SourceError, match=r"--label-from \^\(a\+\)\+\$ takes longer than 0 s on 1 names"):
        labels_in("^(a+)+$", ["a" * 60 + "b"], seconds=0.3)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "expected a regular expression"),
        ("a", "with one group"),
        ("(a)(b)", "with one group"),
        ("(a)" * 300, "500"),
    ],
)
def test_what_is_no_expression_of_one_group_is_refused(pattern: str, message: str) -> None:
    """Before anything is listed."""
    with pytest.raises(ValueError, match=message):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("cat.0.png cat.1.png dog.0.png dog.1.png", "2 classes in their names (cat 2, dog 2)"),
        ("Maine_Coon_1.jpg Maine_Coon_2.jpg pug_1.jpg pug_3.jpg", "(Maine_Coon 2, pug 2)"),
        ("7_001.png 7_002.png 3_001.png 3_002.png", "(7 2, 3 2)"),
        ("1-cat.png 2-cat.png 3-dog.png 4-dog.png", "(cat 2, dog 2)"),
        ("IMG_1.png IMG_2.png IMG_3.png", ""),
        ("0001.png 0002.png 0003.png 0004.png", ""),
    ],
)
def test_an_expression_is_suggested_where_names_look_so(names: str, shown: str) -> None:
    """With what it finds; nothing where a number is all that a name has."""
    found = suggestion(names.split())

    assert found.endswith(shown) if shown else not found
