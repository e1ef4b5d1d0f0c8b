"""The page in a real browser: ask about drawings and photographs, by hand, by keyboard and on a phone."""

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from tests.support.browser import browser, needs_chromium
from tests.support.digits_model import publish_digits
from tests.support.page_server import PageServer
from tests.support.page_use import DESKTOP, PHONE, SEVEN, WHOLE_SEVEN, draw, opened, says
from tests.support.programs import until
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.trainer.job import train
from vouch.trainer.settings import TrainSettings

__all__ = ["browser"]
pytestmark = needs_chromium
INSECTS = Path(__file__).resolve().parents[3] / "shared/data/insects"
OF_EACH = 12
"""Photographs of ants and of bees that are learned from."""
EXPECTED = ("status of 400 (Bad Request)", "net::ERR_CONNECTION_REFUSED")
"""Complaints of the browser's own: about a file that is no image, and a server that went away."""
MINUS = "\N{MINUS SIGN}"
PARTS = """() => ["#spoken", "#score b", "#score span"].map((one) => document.querySelector(one).innerText)"""
HOSTILE = b"""<!DOCTYPE html><title>Report</title><p id="found"></p><script>
const found = document.getElementById("found");
let store = "open";
try { localStorage.length; } catch { store = "shut"; }
const loaded = (name, from) => new Promise((done) => {
  const one = document.createElement(name);
  one.onload = () => done(name);
  one.onerror = () => done("");
  one.src = from;
  one.href = from;
  one.rel = "stylesheet";
  document.body.append(one);
});
const read = fetch("/v1/models").then(() => "fetch", () => "");
const parts = [loaded("img", "/page/icon.svg"), loaded("script", "/page/script.js"), loaded("link", "/page/style.css")];
Promise.all([read, ...parts]).then((got) => { found.textContent = `${origin} ${store} ${got.join("") || "nothing"}`; });
</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelsFolder:
    return ModelsFolder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(folder: ModelsFolder) -> Iterator[PageServer]:
    """A linear model of digits, and a version that was refused."""
    server = PageServer(publish_digits(folder, HOSTILE))
    server.refuse("digits", 2, "9 answers differ from the claimed ones, and 1 may")
    yield server
    server.close()


@pytest.fixture(scope="module")
def page(browser: Browser, server: PageServer) -> Iterator[Page]:
    """Opened once; complaints and requests are held against it at the end."""
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.set_default_timeout(20_000)
    page.goto(server.url)
    page.locator("#trust p").first.wait_for()
    yield page
    page.close()
    assert [one for one in complaints if not one.endswith(EXPECTED)] == []
    assert [url for url in requests if not url.startswith((server.url, f"blob:{server.url}"))] == []


def test_draw_a_7_read_7(page: Page) -> None:
    """With bars, and the drawing as the model sees it: 8 x 8 pixels that the ink fills from top to bottom."""
    draw(page, *SEVEN)
    page.wait_for_function(WHOLE_SEVEN)  # answers before that are about a part of the stroke
    says(page, "7")

    expect(page.locator("#bars li")).to_have_count(5)
    expect(page.locator("#bars li").first).to_have_text(re.compile("^7"))


def test_a_linear_model_says_where_the_score_came_from(page: Page) -> None:
    """What speaks for a class, what speaks against it and what is added make up its score, for any class."""
    draw(page, *SEVEN)
    expect(page.locator("#why")).to_be_visible()

    def shown() -> list[str] | None:
        """An answer to a part of the stroke may come later than the choice of the class, and show its own."""
        page.locator("#class").select_option("3")
        texts: list[str] = page.evaluate(PARTS)
        return texts if texts[2] == "score of 3" else None

    texts = until(shown)
    assert texts
    said, score, _ = texts
    numbers = [float(number) for number in re.findall(r"[+-][\d.]+\d", said.replace(MINUS, "-"))]

    assert len(numbers) == 3
    assert abs(sum(numbers) - float(score.replace(MINUS, "-"))) < 0.2


def test_an_example_is_asked_about(page: Page) -> None:
    """One that was answered wrongly, as its caption says."""
    wrong = page.locator("#examples li", has_text="answered").first
    answer = wrong.inner_text().split()[-1]
    wrong.locator("button").click()

    expect(page.locator("#picture")).to_be_visible()
    says(page, answer)
    expect(page.locator("#why")).to_be_visible()


COPY = """async (path) =>
  navigator.clipboard.write([new ClipboardItem({ "image/png": await (await fetch(path)).blob() })])"""


def examples(page: Page, server: PageServer) -> list[tuple[str, str]]:
    """Address of an image and the model's answer to it: one image for each answer but 7."""
    path = f"{server.url}/v1/models/digits/versions/1/examples"
    found = {one["answers"][0]: f"{path}/{one['number']}" for one in page.request.get(path).json()["examples"]}
    return [(image, answer) for answer, image in found.items() if answer != "7"]


def test_a_pasted_image_is_asked_about(page: Page, server: PageServer) -> None:
    """From the clipboard, by the keyboard; text that is pasted changes nothing."""
    page.reload()
    page.locator("#trust p").first.wait_for()
    image, answer = examples(page, server)[0]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for copy, copied in ((COPY, image), ("(text) => navigator.clipboard.writeText(text)", "7")):
        page.evaluate(copy, copied)
        page.keyboard.press("ControlOrMeta+V")
        says(page, answer)
        expect(page.locator("#picture")).to_be_visible()


def test_an_answer_is_shown_however_long_it_takes(page: Page) -> None:
    """Meanwhile the page has loaded again what is served."""
    example = page.locator("#examples li", has_text="answered").first
    answer = example.inner_text().split()[-1]
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/*:predict*", hold)
    with page.expect_request("**/*:predict*"):
        example.locator("button").click()
    for path in ("**/v1/models", "**/latency"):  # the first and the last that it loads, every two seconds
        with page.expect_request(path):
            pass
    held[0].continue_()
    page.unroute("**/*:predict*")

    says(page, answer)


def test_a_photograph_is_taken_on_a_phone(browser: Browser, server: PageServer, page: Page) -> None:
    """By the button that opens the camera, again and again; a computer with a mouse has none."""
    phone = opened(browser, server, PHONE)
    for image, answer in examples(phone, server)[:2]:
        with phone.expect_file_chooser() as camera:
            phone.get_by_text("Take a photo").tap()
        camera.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": phone.request.get(image).body()})
        says(phone, answer)

    assert camera.value.element.get_attribute("capture") == "environment"
    expect(page.get_by_text("Take a photo")).to_be_hidden()
    phone.close()


def test_a_file_that_is_no_image_is_explained(page: Page) -> None:
    """In the server's own words; after that the page works as before."""
    page.set_input_files("#choose", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#answer.wrong")).to_contain_text("PNG")
    page.locator("#clear").click()

    expect(page.locator("#pad")).to_be_visible()
    draw(page, *SEVEN)
    expect(page.locator("#bars li")).to_have_count(5)


def test_the_card_tells_claim_versions_and_speed(page: Page) -> None:
    """And why a version was refused."""
    draw(page, *SEVEN)
    expect(page.locator("#latency")).to_contain_text("answered so far")

    assert "claimed" in page.locator("#trust").inner_text()
    assert page.locator("#confusion td").count() > 100
    assert "9 answers differ" in page.locator("#versions").inner_text()
    assert "distorting" in page.locator("#asked").inner_text()
    assert page.locator("#reply a").get_attribute("href") == "/v1/models/digits/versions/1/report#how-it-learned"


def test_a_hostile_report_learns_nothing(browser: Browser, server: PageServer) -> None:
    """It has an origin of its own, no storage, and loads nothing, by whatever element."""
    page = browser.new_page()
    page.goto(f"{server.url}/v1/models/digits/versions/1/report")

    expect(page.locator("#found")).to_have_text("null shut nothing")
    page.close()


def test_the_server_goes_away_and_comes_back(browser: Browser, server: PageServer) -> None:
    """The page says so, keeps the drawing, and asks about it when there is somebody to answer."""
    page = opened(browser, server, DESKTOP)
    server.leave()
    expect(page.locator("#notice")).to_be_visible(timeout=20_000)
    draw(page, *SEVEN)
    expect(page.locator("#answer")).to_have_text("The server does not answer.")
    server.come_back()

    expect(page.locator("#notice")).to_be_hidden(timeout=20_000)
    says(page, "7")
    expect(page.locator("#state")).to_have_text("Serving")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing(browser: Browser, server: PageServer, width: int, scheme: Literal["light", "dark"]) -> None:
    """With everything there is on the page; and nobody has to scroll sideways, on a phone either."""
    page = opened(browser, server, width, scheme)
    page.locator("#examples img").first.wait_for()
    draw(page, *SEVEN)
    expect(page.locator("#why")).to_be_visible()
    found = Axe().run(page)

    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_the_keyboard_reaches_everything(browser: Browser, server: PageServer) -> None:
    """It draws too: a stroke from top to bottom is a 1."""
    page = opened(browser, server, DESKTOP)
    page.locator("#examples img").first.wait_for()
    page.locator("#pad").focus()
    for key in (" ", *["ArrowDown"] * 14, " "):
        page.keyboard.press(key)
    says(page, "1")
    expect(page.locator("#why")).to_be_visible()
    reachable = "a[href], button, input, select, [tabindex='0']"
    shown = f"[...document.querySelectorAll(\"{reachable}\")].filter(e => e.checkVisibility() && !e.closest('.camera'))"
    wanted = page.evaluate(f"{shown}.length")
    page.evaluate(f"window.left = new Set({shown}); document.activeElement.blur()")
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        page.evaluate("window.left.delete(document.activeElement)")

    assert wanted > 20
    assert page.evaluate("[...window.left].map(e => e.outerHTML)") == []
    page.close()


def test_awkward_names_fit_a_phone(browser: Browser, folder: ModelsFolder) -> None:
    """Names that are long, or are markup, neither widen the page nor run."""
    hostile = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "W" * 60, "{{ 7 * 7 }}"]
    names = [f"Rhinolophus ferrumequinum, female, in her winter quarters, number {number}" for number in range(6)]
    server = PageServer(publish_digits(folder, name="bats", labels=(*hostile, *names)))
    page = opened(browser, server, PHONE)
    ran: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.locator("#examples button").first.click()
    expect(page.locator("#bars li")).to_have_count(5)

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert hostile[0] in page.locator("#examples").inner_text()
    assert ran == []
    page.close()
    server.close()


@pytest.fixture(scope="module")
def insects(folder: ModelsFolder, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of a few photographs on a pretrained backbone."""
    data = tmp_path_factory.mktemp("photos")
    for kind in ("ants", "bees"):
        (data / kind).mkdir()
        for photo in sorted((INSECTS / "train" / kind).iterdir())[:OF_EACH]:
            shutil.copy(photo, data / kind)
    settings = TrainSettings(
        data=str(data), name="insects", backbone="lite0", keep_alike=False, device="cpu", models=folder.path
    )
    trained = train(settings)
    assert trained is not None
    return trained.bundle


@pytest.mark.skipif(not INSECTS.is_dir(), reason="there are no photographs in ../shared/data/insects")
def test_drop_a_photo_of_a_bee_read_bees(browser: Browser, insects: Bundle) -> None:
    """On a phone's width; the answer to the question is about a pretrained network."""
    server = PageServer(insects)
    page = opened(browser, server, PHONE)
    photo = sorted((INSECTS / "val" / "bees").iterdir())[0].read_bytes()
    dropped = page.evaluate_handle(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)), data = new DataTransfer();
            data.items.add(new File([bytes], "bee.jpg", { type: "image/jpeg" }));
            return data;
        }""",
        base64.b64encode(photo).decode(),
    )
    page.dispatch_event("#input", "drop", {"dataTransfer": dropped})

    says(page, "bees")
    assert page.locator("#pad").is_hidden()
    assert page.locator("#picture").is_visible()
    assert "A network that others trained" in page.locator("#reply").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    page.close()
    server.close()
