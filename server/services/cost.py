"""The bytes that a prediction needs, known before they are allocated. What can never fit is refused."""

from dataclasses import dataclass

from vouch.server.errors import InvalidRequest

VALUE_BYTES = 4
ROWS_OF_ANSWER = 4
"""The model's values may take this many times the largest message, because an answer may leave out most of them."""


@dataclass(frozen=True)
class AnswerSize:
    """Bounds of a serialized answer's size in bytes, known before the answer."""

    least: int
    most: int
    what: str
    """For an error: what is returned for each image, and how many of it."""


def check_answer(images: int, size: AnswerSize, max_bytes: int) -> None:
    """
    Raises:
        InvalidRequest: no answer to this request fits a message; the error has the numbers.
    """
    if size.least > max_bytes:
        fitting = images * max_bytes // size.least
        raise InvalidRequest(
            f"the answer to {images:,} images takes at least {size.least:,} bytes ({size.what}), and the limit of a "
            f"message is {max_bytes:,}: send at most {fitting:,} images in a request, or request fewer classes"
        )


def check_rows(images: int, classes: int, rows_bytes: int, max_bytes: int) -> None:
    """
    Raises:
        InvalidRequest: the model's values for these images take too much memory.
    """
    most = ROWS_OF_ANSWER * max_bytes
    if rows_bytes > most:
        raise InvalidRequest(
            f"the model's values for {images:,} images of {classes:,} classes take {rows_bytes:,} bytes, and the limit "
            f"is {most:,}: send at most {images * most // rows_bytes:,} images in a request"
        )


def too_long(max_bytes: int) -> InvalidRequest:
    """The error for an answer that was found too long while it was written."""
    return InvalidRequest(
        f"the answer takes more than {max_bytes:,} bytes, the limit of a message: send fewer images in a request, or "
        "request fewer classes"
    )
