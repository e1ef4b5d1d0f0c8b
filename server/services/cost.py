"""The bytes that a prediction takes, known before any of them is allocated. What can never fit is refused."""

from dataclasses import dataclass

from vouch.server.errors import InvalidRequest

VALUE_BYTES = 4
ROWS_OF_ANSWER = 4
"""The model's values may take this many times the largest message: an answer may leave out most of them."""


@dataclass(frozen=True)
class AnswerSize:
    """Of a serialized answer, in bytes, as far as it is known before the answer is."""

    least: int
    most: int
    what: str
    """For an error: what is named for each image, and how often."""


def check_answer(images: int, size: AnswerSize, max_bytes: int) -> None:
    """
    Raises:
        InvalidRequest: no answer to this request fits a message; the sentence has the numbers.
    """
    if size.least > max_bytes:
        fitting = images * max_bytes // size.least
        raise InvalidRequest(
            f"the answer to {images:,} images takes at least {size.least:,} bytes ({size.what}), and a message may "
            f"have {max_bytes:,}: send fewer images in a request, at most {fitting:,}, or ask for fewer classes"
        )


def check_rows(images: int, classes: int, rows_bytes: int, max_bytes: int) -> None:
    """
    Raises:
        InvalidRequest: the model's values to so many images are too many to be held.
    """
    most = ROWS_OF_ANSWER * max_bytes
    if rows_bytes > most:
        raise InvalidRequest(
            f"the model's values for {images:,} images of {classes:,} classes take {rows_bytes:,} bytes, at most "
            f"{most:,} are taken: send fewer images in a request, at most {images * most // rows_bytes:,}"
        )


def too_long(max_bytes: int) -> InvalidRequest:
    """Why an answer that did not fit a message while it was written is not given."""
    return InvalidRequest(
        f"the answer takes more than the {max_bytes:,} bytes that a message may have: send fewer images in a request, "
        "or ask for fewer classes"
    )
