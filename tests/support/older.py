"""Bundles as earlier versions wrote them: format 1 and 2, which are still read and served."""

import io
import json
from dataclasses import replace

import numpy as np

from vouch.bundle.claims import Claim
from vouch.bundle.digest import bytes_digest
from vouch.bundle.listed import MANIFEST
from vouch.bundle.manifest import Manifest, read_manifest
from vouch.bundle.opening import Bundle
from vouch.bundle.validation import Validation


def older_split(validation: Validation) -> bytes:
    """validation.npz with images and labels as arrays, and no answers."""
    file = io.BytesIO()
    np.savez_compressed(file, images=validation.images, labels=validation.labels)
    return file.getvalue()


def older_manifest(manifest: Manifest) -> bytes:
    """manifest.json with rows of counts."""
    content = json.loads(manifest.to_json())
    del content["validation_digest"]
    training = content["training"]
    training["settings"] = training["asked"]
    for name in ("asked", "recipe", "circumstances", "history"):
        del training[name]
    if isinstance(manifest.claim, Claim):
        content["claim"]["confusion"] = manifest.claim.confusion.as_rows(len(manifest.labels)).tolist()
    return json.dumps(content).encode()


def written_before(bundle: Bundle) -> Bundle:
    """A bundle of format 1 or 2, its manifest as it was written then."""
    content = older_manifest(bundle.manifest)
    (bundle.path / MANIFEST).write_bytes(content)
    return replace(bundle, manifest=read_manifest(content), digest=bytes_digest(content))
