"""Whatever an image library raises for broken or hostile content, as a refusal with a reason for people."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError

from vouch.bundle.errors import InvalidImage

SAID_OF_FILES = (OSError, SyntaxError, ValueError, EOFError)
"""What Pillow raises with a sentence about the file. Anything else is a trace of its own code."""
NAMES = {"WEBP": "WebP"}
"""What Pillow calls otherwise than people do."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # here once: what Pillow warns about is refused or harmless


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
