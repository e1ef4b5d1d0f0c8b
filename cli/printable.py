"""Makes foreign text safe to show: characters that move the cursor or change the direction are escaped.

For text that people read: terminal, log, page. Programs get the raw text. Imports nothing large.
"""

import json
import re
import sys
from typing import Any

HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, direction marks and overrides, line separators, and lone surrogates.
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing"""


def printable(text: str, keep: str = "") -> str:
    r"""The text with escapes such as `\x1b`, `\n` and `\u202e`; letters of all languages are kept.

    Args:
        keep: characters that are kept too: "\n" if all lines are our own.
    """
    return HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON in which hidden characters are escaped; parsing it gives the same values."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return HIDDEN.sub(lambda found: "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def print_error(line: str) -> None:
    """Prints one line on standard error."""
    print(printable(line), file=sys.stderr)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
