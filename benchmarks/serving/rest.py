"""REST: one image per call over HTTP/1.1, in every form that Vouch accepts, compared with other HTTP servers."""

from dataclasses import dataclass

from benchmarks.serving.contenders import Contender
from benchmarks.serving.questions import Question
from benchmarks.serving.throughput import saturated
from vouch.bundle.opening import Bundle


@dataclass(frozen=True)
class RestRow:
    """One load of single images over HTTP/1.1."""

    contender: str
    takes: str
    """What pixels are sent as: `forms.BYTES`, `JSON` or `PNG`."""
    round: int
    calls_a_second: float
    cpu_s_per_million_calls: float
    problems: str = ""


def over_http(contender: Contender, bundle: Bundle, asked: Question, number: int, seconds: float) -> RestRow:
    """A server under a load of this form, once."""
    assert contender.form is not None
    (row,) = saturated(contender, bundle, {1: asked}, ("REST", number), {1: seconds})
    return RestRow(
        row.contender,
        contender.form.takes,
        number,
        row.calls_a_second,
        row.cpu_s_per_million_images,
        row.problems,
    )
