from vouch.trainer.report.wording import count, listed, seconds, share, signed, speed


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    """Only all is 100 %, and only nothing 0 %."""
    assert share(1.0) == "100.00%"
    assert share(0.99996) == ">99.99%"
    assert share(0.00001) == "<0.01%"
    assert share(0.0) == "0.00%"
    assert share(0.9247, 1) == "92.5%"
    assert share(0.9999, 0) == ">99%"
    assert share(None) == "\N{EN DASH}"


def test_numbers_are_written_for_people() -> None:
    """A proper minus sign, separators, and units that fit."""
    assert signed(-1.5) == "\N{MINUS SIGN}1.50"
    assert signed(0.12345, 4) == "0.1235"
    assert count(10000) == "10,000"
    assert (seconds(2.21), seconds(300), seconds(9000)) == ("2.2 s", "5.0 min", "2.5 h")
    assert speed(88412.0) == 88400.0


def test_words_are_listed_as_in_a_sentence() -> None:
    """With an "and" before the last one."""
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
