"""Numbers of bytes as people write them: 500M, 2G."""

import re

UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)


def bytes_in(text: str) -> int:
    """Bytes, of which a K has 1,024, an M 1,024 K and so on, as Docker counts.

    Raises:
        ValueError: it is no such number.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("expected a number of bytes such as 500M, 2G or 1.5G")
    return int(float(found[1]) * (1 << UNITS[found[2].lower()]))
