"""The page in a real browser: nothing missing, nothing asked of the network, nothing wider than a phone."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page

from tests.support.browser import browser, needs_chromium
from tests.trainer.report.runs import RECIPE, finished, named, noise_splits, on_a_backbone, with_exam
from vouch.bundle.reliability import Coverage
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import count_claim, run_graph
from vouch.trainer.report.finished import Run
from vouch.trainer.report.one_weight import chosen_rows, one_weight
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits

__all__ = ["browser"]
pytestmark = needs_chromium
DESKTOP, PHONE = 1280, 375


@pytest.fixture(scope="module")
def file(digits_page: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report as a file, as it is in a bundle."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(digits_page)
    return path


@pytest.fixture(scope="module")
def learned_colours() -> tuple[Run, Recorder]:
    """Another model: two classes of colour images."""
    return finished(noise_splits(("ants", "bees"), (12, 12, 3)), "cnn", replace(RECIPE, epochs=1))


@pytest.fixture(scope="module")
def learned_on_a_backbone() -> tuple[Run, Recorder]:
    """And a frozen backbone."""
    return on_a_backbone(noise_splits(("ants", "bees", "flies"), (70, 90, 3)))


@pytest.fixture(scope="module")
def learned_many() -> tuple[Run, Recorder]:
    """And more classes than are shown."""
    return finished(noise_splits(tuple("abcdefghijklmnopqrstu"), (8, 8)), recipe=replace(RECIPE, epochs=1))


@pytest.fixture(scope="module")
def learned_labels() -> tuple[Run, Recorder]:
    """And several labels for an image."""
    return on_a_backbone(noise_splits(("a", "b", "c"), (12, 10, 3), several=True))


@pytest.fixture(scope="module")
def colour_pair(learned_colours: tuple[Run, Recorder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two classes."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(report_html(*learned_colours))
    return path


@pytest.fixture(
    scope="module", params=[(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")], ids=str
)
def page(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    """The report, opened once for all of these tests; complaints and requests are held against it at the end."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]


def test_nothing_is_wider_than_the_window(page: Page) -> None:
    """Nobody has to scroll sideways, on a phone either."""
    width = page.evaluate("document.documentElement.scrollWidth")

    assert width == page.evaluate("window.innerWidth")


@pytest.mark.parametrize("page", [(DESKTOP, "light"), (PHONE, "dark")], indirect=True, ids=str)
def test_axe_finds_nothing(page: Page) -> None:
    """No rule of axe-core's is broken: for who cannot see the page, or sees it badly. Seconds each: two classes, below,
    are looked at in the other light.
    """
    assert complaints_of_axe(page) == ""


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")])
def test_axe_finds_nothing_where_two_classes_have_colour(
    browser: Browser, colour_pair: Path, width: int, scheme: Literal["dark", "light"]
) -> None:
    """Nor is anything wider than the window: names above the counts lie flat where classes are few."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(colour_pair.as_uri())

    assert complaints_of_axe(page) == ""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".confusion thead th span").first.evaluate("e => e.offsetWidth > e.offsetHeight")
    page.close()


def test_axe_finds_nothing_where_a_backbone_is_frozen(
    browser: Browser, learned_on_a_backbone: tuple[Run, Recorder], tmp_path: Path
) -> None:
    """Every map lies over its image, as large as that, and nothing is wider than a phone."""
    path = tmp_path / "report.html"
    path.write_bytes(report_html(*learned_on_a_backbone))
    page = browser.new_page(viewport={"width": PHONE, "height": 800}, color_scheme="dark")
    page.goto(path.as_uri())
    sizes = page.evaluate(
        "[...document.querySelectorAll('.map')].map(m => [...m.children].map(i => [i.clientWidth, i.clientHeight]))"
    )

    assert complaints_of_axe(page) == ""
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert len(sizes) > 8
    assert all(image == heat and image[0] > 60 for image, heat in sizes)
    page.close()


def complaints_of_axe(page: Page) -> str:
    """What axe-core has to say of the page, all of it unfolded; empty where that is nothing."""
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


def test_every_picture_is_drawn(page: Page) -> None:
    """No image is broken, and every curve has a size."""
    broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)")
    flat = page.evaluate(
        "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height < 50).length"
    )

    assert broken == []
    assert flat == 0
    assert page.evaluate("document.images.length") > 40


def test_a_cell_shows_its_images(page: Page) -> None:
    """A click on a count shows that many images, drawn from the sheet, and says what they are; so does the keyboard."""
    cell = page.locator('.confusion button[data-cell="7,7"]')
    cell.click()
    sprites = page.locator("#gallery .sprite")

    assert cell.get_attribute("aria-pressed") == "true"
    assert page.locator("#gallery p").inner_text().startswith("Label 7, answer 7")
    assert sprites.count() == min(20, int(cell.inner_text()))
    assert sprites.first.evaluate("e => getComputedStyle(e).backgroundImage").startswith('url("data:image/png')
    box = sprites.first.bounding_box()
    assert box is not None
    assert box["width"] == box["height"] == 56

    page.locator('.confusion button[data-cell="3,3"]').press("Enter")
    assert page.locator("#gallery p").inner_text().startswith("Label 3, answer 3")


@pytest.mark.parametrize("kind", ["digits", "colours", "on_a_backbone", "many", "labels"])
def test_a_weight_is_changed_by_the_keyboard(browser: Browser, request: pytest.FixtureRequest, kind: str) -> None:
    """What the page shows is what the exported graph answers, before the change and after it: where the page may run
    its script and nothing else, as a server sends it.
    """
    run, recorder = request.getfixturevalue(f"learned_{kind}")
    page = as_a_server_sends_it(browser, report_html(run, recorder))
    own = probabilities_of_graph(run)
    assert shown_probabilities(page) == pytest.approx(own, abs=1e-4)

    slider, presses = page.get_by_label("Change of the weight"), 9
    for _ in range(presses):
        slider.press("ArrowRight")
    change = presses * json.loads(page.locator("#weigh-data").inner_text())["step"]
    place, name = (page.locator(which).inner_text() for which in ("#weigh-name", "#weigh-class option:checked"))
    said = page.locator("#weigh-said")

    assert shown_probabilities(page) == pytest.approx(
        probabilities_of_graph(run, place_of(place), name, change), abs=1e-4
    )
    assert slider.evaluate("e => e.matches(':focus-visible')")
    assert said.get_attribute("aria-live") == "polite"
    assert "\N{RIGHTWARDS ARROW}" in said.inner_text()
    page.get_by_role("button", name="Put it back").press("Enter")
    assert shown_probabilities(page) == pytest.approx(own, abs=1e-4)
    page.close()


def as_a_server_sends_it(browser: Browser, content: bytes) -> Page:
    """Somebody else's page: it may run its script, and reach nothing; on a phone with a touch screen."""
    page = browser.new_page(viewport={"width": PHONE, "height": 800}, has_touch=True)
    policy = {"Content-Security-Policy": "sandbox allow-scripts; connect-src 'none'", "Content-Type": "text/html"}
    page.route("http://report.test/", lambda route: route.fulfill(body=content, headers=policy))
    page.goto("http://report.test/")
    return page


def shown_probabilities(page: Page) -> list[float]:
    """Of the classes that are shown, as the page writes them."""
    cells = page.locator("#weigh-rows tbody td:nth-child(3)").all_inner_texts()
    return [float(cell.strip("<>%")) / 100 for cell in cells]


def place_of(name: str) -> int:
    """Of an input by its name on the page: of the pixels of a digit by row and column, else by its number."""
    numbers = [int(number) for number in re.findall(r"\d+", name)]
    return 8 * (numbers[0] - 1) + numbers[1] - 1 if len(numbers) == 2 else numbers[0] - 1


def probabilities_of_graph(run: Run, place: int = 0, name: str = "", change: float = 0.0) -> list[float]:
    """Likewise of the first image that is offered, by the graph that is exported with this weight changed.

    Args:
        name: of the class that the weight belongs to.
    """
    classifier, row = deepcopy(run.classifier), chosen_rows(run.exam.probabilities, run.several)[:1]
    *_, weight, _ = classifier.network.parameters()  # of the last layer, before its bias
    names = run.splits.classes
    if change:
        with torch.no_grad():
            weight[min(names.index(name), len(weight) - 1), place] += change
    images = run.splits.validation.images
    graph = export(classifier, images.shape[1:], run.exam.calibration.temperature)
    shares = run_graph(graph, images[row])[0]
    return [float(shares[names.index(shown)]) for shown in one_weight(run)["classes"]]


def test_a_weight_is_chosen_by_touch_mouse_and_keyboard(browser: Browser, digits_page: bytes) -> None:
    """A cell of a picture, or the slider, of which the arrow keys go up and down too; the frame goes along."""
    page = as_a_server_sends_it(browser, digits_page)
    name, side = page.locator("#weigh-name"), page.locator("#weigh-weights").evaluate("e => e.clientWidth")
    page.locator("#weigh-weights").tap(position={"x": 2.5 / 8 * side, "y": 4.5 / 8 * side})
    assert name.inner_text() == "row 5, column 3"
    page.locator("#weigh-products").click(position={"x": 6.5 / 8 * side, "y": 1.5 / 8 * side})
    assert name.inner_text() == "row 2, column 7"
    slider = page.get_by_label("Pixel", exact=True)
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowLeft"):
        slider.press(key)
    assert name.inner_text() == "row 3, column 6"
    assert slider.get_attribute("aria-valuetext") == "row 3, column 6"
    frame = page.locator("#weigh .cells i").first.evaluate("e => [e.style.left, e.style.top]")
    assert frame == ["62.5%", "25%"]

    page.get_by_label("Change of the weight").press("End")
    before = page.locator("#weigh-w").inner_text()
    page.get_by_role("radio", name="validation image 1", exact=True).check()
    assert page.locator("#weigh-w").inner_text() == before
    page.locator("#weigh-class").select_option("7")
    assert page.locator("#weigh-said").inner_text().startswith("Score of 7: ")
    page.close()


def test_text_can_be_told_from_its_ground(page: Page) -> None:
    """Contrast of running text is at least 7 to 1, of captions 4.5 to 1, in the light and in the dark (WCAG 2)."""
    ratio = """(selector) => {
        const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
                .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const [a, b] = [getComputedStyle(document.querySelector(selector)).color,
            getComputedStyle(document.body).backgroundColor].map(light).sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    }"""

    assert page.evaluate(ratio, "section p") >= 7
    assert page.evaluate(ratio, "figcaption") >= 4.5
    assert page.evaluate(ratio, "a[href='#weights']") >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_there_are_warnings(
    browser: Browser, learned_digits: tuple[Run, Recorder], tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    """Their colour can be told from page and card, and none is wider than a phone."""
    run, recorder = learned_digits
    promise = Coverage(promised=0.99, threshold=0.1, covered=50, total=100, mean_size=1.5)
    calibration = run.exam.calibration.model_copy(update={"coverages": (promise,)})
    claim = count_claim(np.roll(run.exam.probabilities, 1, axis=0), run.splits.validation.labels)
    path = tmp_path / "report.html"
    path.write_bytes(report_html(with_exam(run, claim=claim, calibration=calibration), recorder))
    page = browser.new_page(viewport={"width": PHONE, "height": 800}, color_scheme=scheme)
    page.goto(path.as_uri())

    assert complaints_of_axe(page) == ""
    assert page.locator(".warn").count() == 3  # beside the claim, where it is explained, and in the table
    assert page.locator(".caveats p").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    page.close()


def test_the_page_follows_the_readers_light(browser: Browser, file: Path) -> None:
    """Dark for who reads in the dark."""
    grounds = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(file.as_uri())
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()

    assert grounds == {"light": "rgb(250, 248, 243)", "dark": "rgb(19, 22, 27)"}


def test_awkward_names_fit_a_phone(browser: Browser, splits: Splits, tmp_path: Path) -> None:
    """Names that are long, or are markup, neither widen the page nor run."""
    long = [f"Rhinolophus ferrumequinum, female, in her winter quarters, number {number}" for number in range(6)]
    hostile = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "W" * 60, "{{ 7 * 7 }}"]
    path = tmp_path / "report.html"
    path.write_bytes(report_html(*finished(named(splits, (*long, *hostile)), recipe=replace(RECIPE, epochs=1))))
    page = browser.new_page(viewport={"width": PHONE, "height": 800})
    ran: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(path.as_uri())
    page.locator('.confusion button[data-cell="6,6"]').click()

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert (
        page.locator("#gallery p")
        .inner_text()
        .startswith("Label <script>alert(1)</script>, answer <script>alert(1)</script>")
    )
    assert ran == []
    page.close()


def test_without_scripts_the_counts_are_there(browser: Browser, file: Path) -> None:
    """Who runs no scripts misses the gallery and nothing else."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())

    assert page.locator(".confusion button").count() >= 10
    assert page.locator("nav a").first.is_visible()
    assert "needs JavaScript" in page.locator("#gallery").inner_text()
    context.close()
