import json
import unicodedata

import pytest

from vouch.cli.printable import HIDDEN, json_text, printable

LETTERS = (
    "aß \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u540d\u524d \u0928\u093e\u092e "
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc \U0001f469\u200d\U0001f52c e\u0301 [x] :smile: \\n"
)
"""Of right-to-left scripts, with joiners that belong to words and emoji, with a combining accent."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("one\ntwo\r\tthree\0", r"one\ntwo\r\tthree\x00"),
        ("\x7f\x9b2J\x85", r"\x7f\x9b2J\x85"),
        ("cat\u202egnp.exe", r"cat\u202egnp.exe"),
        ("\u2066a\u2069\u200e\u200f\u061c", r"\u2066a\u2069\u200e\u200f\u061c"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\udcff.png", r"\udcff.png"),
        (LETTERS, LETTERS),
        ("", ""),
    ],
)
def test_what_moves_or_turns_a_line_is_spelled_out_and_letters_stay(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_every_control_character_and_every_direction_is_hidden() -> None:
    """All that Unicode calls so, whatever its number: overrides, embeddings, isolates and their ends, and the marks."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for number in range(0x110000):
        sign = chr(number)
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(sign) in turning:
            assert HIDDEN.fullmatch(sign), hex(number)


def test_lines_that_are_ours_stay_lines() -> None:
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_reads_back_as_it_was(indent: int | None) -> None:
    """With letters as they are, and nothing hidden in it but its own lines."""
    value = {"a\u202e": [LETTERS, "\x1b\x7f\x9b\n\u2028\u061c\udcff"]}
    text = json_text(value, indent)

    assert json.loads(text) == value
    assert set(HIDDEN.findall(text)) <= {"\n"}
    assert "\u0645" in text
    assert ("\n" in text) == (indent is not None)
