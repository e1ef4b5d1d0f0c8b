import gzip
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vouch.sources.errors import SourceError
from vouch.sources.load import load
from vouch.sources.mnist import FILES, load_mnist

Answer = tuple[int, bytes]
Mirror = Callable[[Callable[[str], Answer]], str]
CLOSED = "http://127.0.0.1:9/"  # the discard port: nothing listens


def given_folder() -> Path | None:
    """Where the real MNIST lies on this machine."""
    places = [Path(__file__).resolve().parents[2].parent / "shared/data/mnist"]
    if given := os.environ.get("VOUCH_DATA"):
        places.append(Path(given) / "mnist")
    return next((place for place in places if place.is_dir()), None)


REAL = given_folder()
needs_mnist = pytest.mark.skipif(REAL is None, reason="MNIST is neither in ../shared/data/mnist nor in $VOUCH_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own for each test, and neither given files nor a proxy."""
    monkeypatch.delenv("VOUCH_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vouch" / "mnist"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """Starts a web server on 127.0.0.1 that answers each file's name as it is told, and gives its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server calls
                status, content = answer(self.path.removeprefix("/"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def real(file: str) -> Answer:
    assert REAL is not None
    return 200, (REAL / file).read_bytes()


def recorded(asked: list[str]) -> Callable[[str], Answer]:
    """Answers with the real files, and takes down what was asked for."""

    def answer(file: str) -> Answer:
        asked.append(file)
        return real(file)

    return answer


@needs_mnist
def test_mnist_is_60_000_and_10_000_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of MNIST, split as its makers did, from $VOUCH_DATA without a network."""
    monkeypatch.setenv("VOUCH_DATA", str(REAL and REAL.parent))

    source = load("mnist")

    assert (source.name, source.classes) == ("mnist", tuple("0123456789"))
    assert {split: part.images.shape for split, part in source.splits.items()} == {
        "fit": (60_000, 28, 28),
        "validation": (10_000, 28, 28),
    }
    assert source.splits["fit"].labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(source.splits["validation"].labels)[:2].tolist() == [980, 1135]


@needs_mnist
def test_files_are_fetched_once_and_kept(mirror: Mirror, cache: Path) -> None:
    """What was fetched is in the cache, whole and alone; the next time no mirror is asked."""
    asked: list[str] = []
    address = mirror(recorded(asked))

    first = load_mnist("mnist", [address])
    second = load_mnist("mnist", [CLOSED], pause_s=0)

    assert sorted(asked) == sorted(f"{file}.gz" for file in FILES)
    assert sorted(path.name for path in cache.iterdir()) == sorted(asked)
    np.testing.assert_array_equal(first.splits["fit"].images, second.splits["fit"].images)


@needs_mnist
def test_a_changed_file_in_the_cache_is_fetched_again(mirror: Mirror, cache: Path) -> None:
    """Files cut short and files of another content are replaced; the good ones stay."""
    address = mirror(real)
    load_mnist("mnist", [address])
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(real("t10k-labels-idx1-ubyte.gz")[1][:100])
    (cache / "train-labels-idx1-ubyte.gz").write_bytes(real("t10k-labels-idx1-ubyte.gz")[1])
    asked: list[str] = []
    address = mirror(recorded(asked))

    load_mnist("mnist", [address])

    assert asked == ["train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert (cache / asked[0]).read_bytes() == real(asked[0])[1]


@needs_mnist
def test_a_mirror_that_fails_is_asked_again_and_a_wrong_one_passed_over(mirror: Mirror) -> None:
    """503, wrong content, broken gzip, an answer cut short and a closed port each end in the next try."""
    tries: list[str] = []

    def failing_once(file: str) -> Answer:
        tries.append(file)
        return real(file) if tries.count(file) > 1 else (503, b"later")

    corrupt = mirror(lambda _: (200, gzip.compress(bytes(100))))
    no_gzip = mirror(lambda _: (200, b"<html>sign in to this network</html>"))
    cut_short = mirror(lambda file: (200, real(file)[1][:1000]))
    mirrors = [CLOSED, corrupt, no_gzip, cut_short, mirror(failing_once)]

    source = load_mnist("mnist", mirrors, pause_s=0)

    assert len(source.splits["fit"]) == 60_000
    assert len(tries) == 2 * len(FILES)


@needs_mnist
def test_two_who_fetch_at_once_do_not_harm_each_other(mirror: Mirror, cache: Path) -> None:
    """Both get MNIST, and the cache holds the four whole files and nothing else."""
    barrier = threading.Barrier(2)

    def together(file: str) -> Answer:
        barrier.wait(60)
        return real(file)

    address = mirror(together)

    with ThreadPoolExecutor(2) as pool:
        sources = list(pool.map(lambda _: load_mnist("mnist", [address]), range(2)))

    assert [len(source.splits["fit"]) for source in sources] == [60_000, 60_000]
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{file}.gz" for file in FILES)


@needs_mnist
def test_a_folder_without_mnist_in_vouch_data_is_passed_over(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VOUCH_DATA may hold other data only."""
    monkeypatch.setenv("VOUCH_DATA", str(tmp_path))

    source = load_mnist("mnist", [mirror(real)])

    assert len(source.splits["validation"]) == 10_000


def test_without_a_network_the_message_says_what_to_do() -> None:
    """The ways out are named: files in place, another folder, or digits."""
    with pytest.raises(
        SourceError, match=r"could not be downloaded .*\$VOUCH_DATA/mnist.*--data FOLDER.*--data digits"
    ):
        load_mnist("mnist", [CLOSED], pause_s=0)


@pytest.mark.parametrize("answer", [(200, gzip.compress(bytes(100))), (404, b""), (200, b""), (200, bytes(33 << 20))])
def test_a_wrong_answer_is_not_kept(mirror: Mirror, cache: Path, answer: Answer) -> None:
    """Whatever the mirrors give that is not MNIST leaves nothing behind."""
    address = mirror(lambda _: answer)

    with pytest.raises(SourceError, match="could not be downloaded"):
        load_mnist("mnist", [address], pause_s=0)

    assert not cache.exists()


@needs_mnist
def test_a_cache_that_cannot_be_written_is_named(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain file in the way of the cache folder ends in a message with the remedy."""
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))

    with pytest.raises(SourceError, match=r"cannot be written .*set XDG_CACHE_HOME"):
        load_mnist("mnist", [mirror(real)])


def test_the_cache_is_in_the_home_folder_where_xdg_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~/.cache is the default, and the variable counts only if absolute."""
    (tmp_path / ".cache").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")

    with pytest.raises(SourceError, match="could not be downloaded"):
        load_mnist("mnist", [CLOSED], pause_s=0)


def test_given_files_are_all_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in $VOUCH_DATA is meant: what it lacks is not fetched behind the user's back."""
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("VOUCH_DATA", str(tmp_path))

    with pytest.raises(SourceError, match=r"has no train-images-idx3-ubyte\[\.gz\]; put MNIST's four files there"):
        load_mnist("mnist", [CLOSED])


@needs_mnist
def test_given_files_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel that differs is found: another data set must not be trained on under the name of MNIST."""
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("VOUCH_DATA", str(tmp_path))
    for file in FILES:
        content = gzip.decompress(real(f"{file}.gz")[1])
        changed = content[:-1] + bytes([content[-1] ^ 1]) if file.startswith("t10k-images") else content
        (tmp_path / "mnist" / file).write_bytes(changed)

    with pytest.raises(SourceError, match=r"t10k-images-idx3-ubyte is not MNIST's .*SHA-256 .*--data FOLDER"):
        load_mnist("mnist", [CLOSED])
