"""How servers are asked over HTTP/1.1."""

from pathlib import Path

import numpy as np

from benchmarks.serving.forms import of_vouch, raw
from tests.server.rest.conftest import serving_tiny
from tests.support.tiny import tiny_images
from vouch.server.model.session import Outputs


async def test_vouch_takes_each_form(tmp_path: Path) -> None:
    """Its answer is read: the probabilities that the model's own session gives."""
    images, _ = tiny_images(1)
    async with serving_tiny(tmp_path / "models") as house:
        served = house.catalog.find("tiny", 0)
        expected = Outputs(*await served.batcher.submit(images, None)).probabilities
        found = {}
        for form in of_vouch(served.bundle):
            headers = {name.replace("-", "_"): value for name, value in form.headers.items() if name != "content-type"}
            kind = form.headers["content-type"]
            answer = await house.ask("POST", form.path, form.body(images), kind=kind, **headers)
            found[form.takes] = form.probabilities(answer.body)

    assert list(found) == ["bytes", "JSON", "a PNG file"]
    for probabilities in found.values():
        np.testing.assert_allclose(probabilities, expected.ravel(), atol=1e-6)


def test_pixels_go_as_they_are() -> None:
    """And so do probabilities, of several images too."""
    form, images = raw("/predict"), np.arange(8, dtype=np.uint8).reshape(2, 2, 2)

    assert form.body(images) == bytes(range(8))
    assert form.probabilities(np.ones(6, np.float32).tobytes()).tolist() == [1] * 6
