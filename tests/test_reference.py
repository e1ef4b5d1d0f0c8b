"""The reference pages are what the code says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.reference import FOLDER, WRITTEN
from docs.reference.events import EVENTS, written
from docs.reference.markdown import WRITTEN_BY
from docs.reference.proto_files import Block, Entry, read
from docs.reference.settings import OTHER

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bundle", "cli", "client", "server", "sources", "trainer", "vouch")
FOR_OURSELVES = {"VOUCH_WORKER"}
"""Variables that only a process of ours sets for another."""


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_is_current(name: str) -> None:
    """Whoever changes a command, a metric, an event or an RPC runs `make reference`."""
    assert (FOLDER / name).read_text("utf-8") == WRITTEN[name](), "run make reference"


def test_every_page_is_written_and_listed() -> None:
    """A page that nothing writes any more would stay as it is; one that is not listed is not found."""
    pages = {page.name: page.read_text("utf-8") for page in FOLDER.glob("*.md")}

    assert {name for name, text in pages.items() if WRITTEN_BY in text} == set(WRITTEN)
    assert [name for name in WRITTEN if f"({name})" not in pages["README.md"]] == []


def test_every_event_of_the_log_is_explained() -> None:
    """An operator who reads an event's name in the log finds a sentence about it."""
    assert EVENTS.keys() == written().keys()


def test_every_variable_that_the_code_reads_is_explained() -> None:
    """Those that settings make are in the tables; all others are named one by one."""
    known = {name for names in OTHER for name in names}

    assert known - {name for name in known if "proxy" in name} == set(read_by_the_code()) - FOR_OURSELVES


def read_by_the_code() -> Iterator[str]:
    """Names that are looked up in os.environ: written out, or as a constant of the file."""
    for file in (file for room in ROOMS for file in (ROOT / room).glob("**/*.py")):
        if "environ" not in (text := file.read_text("utf-8")):
            continue
        for node in ast.walk(ast.parse(text)):
            name: ast.expr | None = None
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                name = node.slice
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.environ.setdefault"):
                name = node.args[0]
            elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "os.environ":
                name = node.left
            elif isinstance(node, ast.BinOp) and ast.unparse(node.left) == "os.environ.keys()":
                yield from ast.literal_eval(node.right)
            if isinstance(name, ast.Constant):
                yield str(name.value)
            elif name is not None:
                assert ast.unparse(name) == "VARIABLE"


def test_a_proto_file_is_read_with_its_comments() -> None:
    """A comment belongs to what follows it; a message within another has both names, and an empty one no fields."""
    text = """
    // About nothing.
    package p;

    // Serves.
    //
    // More.
    service S {
      // Asks.
      rpc Ask(stream A) returns (B);
    }
    message A {}
    message B {
      enum E {
        ONE = 1;
      }
      oneof one {
        // Or so.
        map<string, A> all = 1;
      }
      repeated E es = 2;
    }
    """

    assert read(text) == [
        Block("service", "S", "Serves.\n\nMore.", [Entry("Ask", ("stream A", "B"), "Asks.")]),
        Block("message", "A", ""),
        Block("message", "B", "", [Entry("all", ("map<string, A>",), "Or so."), Entry("es", ("repeated E",), "")]),
        Block("enum", "B.E", "", [Entry("ONE", (), "")]),
    ]
    with pytest.raises(ValueError, match="got 'extensions 4 to max;'"):
        read("message M {\n  extensions 4 to max;\n}")
