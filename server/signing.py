"""`vouch sign`: signs a bundle, or makes a key."""

from collections.abc import Sequence

from vouch.bundle.errors import BundleError
from vouch.bundle.opening import sign_bundle
from vouch.bundle.signature import SIGNATURE, make_key
from vouch.cli.console import exit_code, output, print_json
from vouch.cli.settings import parse
from vouch.server.errors import DomainError
from vouch.server.settings import SignSettings


def sign(arguments: Sequence[str]) -> int:
    """Signs a bundle, or makes a key; returns the exit code."""
    epilog = "Example: vouch sign models/digits/1 --key signing.pem"
    settings = parse(SignSettings, "vouch sign", arguments, epilog)
    return exit_code(lambda: _sign(settings), (DomainError, BundleError))


def _sign(settings: SignSettings) -> None:
    if settings.new_key is not None:
        made, public = make_key(settings.new_key)
        if settings.json_output:
            print_json({"key": str(settings.new_key), "public_key": str(public), "fingerprint": made.fingerprint})
            return
        output().print(f"{settings.new_key} is a new private key. Keep it secret: anyone who has it can sign for you.")
        output().print(f"  public key   {public}, for vouch serve --require-signature")
        output().print(f"  fingerprint  SHA-256 {made.fingerprint}")
        return
    assert settings.bundle is not None
    assert settings.key is not None
    bundle, key = sign_bundle(settings.bundle, settings.key)
    if settings.json_output:
        place = {"model": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest}
        print_json(place | {"signature": str(bundle.path / SIGNATURE), "fingerprint": key.fingerprint})
        return
    output().print(f"{bundle} is signed: {bundle.path / SIGNATURE}")
    output().print(f"  digest       SHA-256 {bundle.digest}")
    output().print(f"  fingerprint  SHA-256 {key.fingerprint}, of the public key")
