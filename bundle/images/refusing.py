"""Turns all errors of an image library for broken or hostile content into refusals with a reason."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError

from vouch.bundle.errors import InvalidImage

SAID_OF_FILES = (OSError, SyntaxError, ValueError, EOFError)
"""Errors of Pillow with a sentence about the file. Messages of other errors are about its own code."""
NAMES = {"WEBP": "WebP"}
"""Usual names for formats that Pillow names differently."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # once, here: what Pillow warns about is refused or harmless


@contextmanager
def refusing(kind: str) -> Iterator[None]:
    """Turns errors of a block that decodes a file of this kind into InvalidImage."""
    name = NAMES.get(kind, kind)
    try:
        yield
    except InvalidImage:
        raise
    except UnidentifiedImageError as err:
        raise InvalidImage(f"the {name} picture cannot be decoded: its header is broken") from err
    except SAID_OF_FILES as err:
        raise InvalidImage(f"the {name} picture cannot be decoded: {err}") from err
    except Exception as err:  # Pillow raises a dozen types for broken or hostile content
        raise InvalidImage(f"the {name} picture cannot be decoded: its content is broken") from err
