"""Numbers of bytes as users write them: 500M, 2G."""

import re

UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)


def bytes_in(text: str) -> int:
    """The number of bytes: 1 K is 1,024 bytes, 1 M is 1,024 K and so on, as in Docker.

    Raises:
        ValueError: it is not such a number.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("expected a number of bytes such as 500M, 2G or 1.5G")
    return int(float(found[1]) * (1 << UNITS[found[2].lower()]))
