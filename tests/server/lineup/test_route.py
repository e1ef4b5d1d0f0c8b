"""Which model a call means that names none."""

import pytest

from vouch.server.errors import InvalidRequest, NotReady
from vouch.server.lineup.route import listed, unnamed


def test_the_only_published_model_is_meant() -> None:
    """Whether it is served or not."""
    assert unnamed({"digits"}) == "digits"


def test_with_several_one_has_to_be_named() -> None:
    """The message lists them, and says how one can be chosen."""
    with pytest.raises(InvalidRequest, match=r"there are cats, dogs\. --default-model"):
        unnamed({"dogs", "cats"})


def test_the_default_model_is_meant_whatever_is_published() -> None:
    """Its absence is said by whoever looks for it."""
    assert unnamed({"dogs", "cats"}, "birds") == "birds"


def test_without_any_the_call_may_succeed_later() -> None:
    """A model may be published at any moment."""
    with pytest.raises(NotReady, match="contains no model yet"):
        unnamed(())


def test_a_message_names_few_models() -> None:
    """However many there are."""
    assert listed([f"m{number:02}" for number in range(13)]).endswith("m08, m09 and 3 more")
