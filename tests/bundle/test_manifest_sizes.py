import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from tests.bundle.made_up import made_up_manifest
from tests.support.manifests import FILE, columns, edited
from tests.support.older import older_manifest
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import read_manifest


def before(place: str, value: object) -> bytes:
    """The same of format 2."""
    content: dict[str, Any] = json.loads(edited(place, value)) | {"format_version": 2}
    del content["validation_digest"]
    return json.dumps(content).encode()


MEGABYTES = 5


def many(value: bytes, place: str) -> bytes:
    """Some megabytes of lists, strings or numbers where a list should be."""
    content = edited(place, "MANY")
    return content.replace(b'"MANY"', b"[" + value * (MEGABYTES * 1_000_000 // len(value)) + b"0]")


def many_names() -> bytes:
    """An object of 400,000 names."""
    return b"{" + b",".join(b'"%x":0' % number for number in range(400_000)) + b"}"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (lambda: many(b"[],", "training.settings"), "more than 25,000,000 values, or 100,000 lists"),
        (lambda: many(b"[],", "claim.confusion"), "more than 25,000,000 values, or 100,000 lists"),
        (many_names, "100,000 lists and names"),
        (lambda: many(b'"a",', "labels"), "at most 10000 items"),
        (lambda: before("claim.confusion", [[""] * 1_000_000]), "claim.confusion.0.0: "),
        (lambda: before("claim.confusion", [[0] * 1_000_000]), "claim.confusion.0: .*at most 10000 items"),
        (
            lambda: edited("claim.confusion", columns([0] * 1_000_001, [], [])),
            "claim.confusion.labels: .*at most 1000000 items",
        ),
        (lambda: edited("labels", ["a", "b", "c" * 5_000_000]), "at most 1000 characters"),
        (lambda: edited("files", {str(number): FILE for number in range(5000)}), "at most 64 items"),
    ],
    ids=["settings", "rows", "names", "labels", "strings", "row", "columns", "long", "files"],
)
def test_a_large_manifest_is_refused_in_little_memory(written: Callable[[], bytes], reason: str) -> None:
    """It takes a fixed multiple of its own size, where the first of a million mistakes is enough."""
    content = written()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBundle, match=reason):
            read_manifest(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


def test_a_manifest_of_many_classes_is_read_and_written_before_too() -> None:
    """Ten thousand; before format 3, a thousand are 11 MB, and all limits are far."""
    labels = tuple(f"[{number}]: a, b" for number in range(10_000))
    many, fewer = made_up_manifest(labels=labels), made_up_manifest(labels=labels[:1000])
    older = json.loads(older_manifest(fewer)) | {"format_version": 2}

    assert read_manifest(many.to_json()) == many
    assert len(many.to_json()) < 2_000_000
    assert read_manifest(json.dumps(older).encode()).claim == fewer.claim
