"""Text that others have made, as it may be shown: what moves a cursor or turns the line around is spelled out.

For the places where text leaves us for eyes: terminal, log, page. Programs get it as it is. Imports nothing large.
"""

import json
import re
import sys
from typing import Any

HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks and overrides of direction, separators of lines, and surrogates that stand alone.
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing"""


def printable(text: str, keep: str = "") -> str:
    r"""The text with escapes such as `\x1b`, `\n` and `\u202e`; letters of all languages stay as they are.

    Args:
        keep: what stays too: "\n" in text of several lines that are all ours.
    """
    return HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON in which nothing hidden stands raw, and which reads back as it was."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return HIDDEN.sub(lambda found: "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def print_error(line: str) -> None:
    """One line on standard error."""
    print(printable(line), file=sys.stderr)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
