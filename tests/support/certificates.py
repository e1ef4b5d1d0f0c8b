"""Certificates for tests, made by the openssl command: authorities of our own, and what they sign."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: Path
    key: Path

    def replace(self, other: "Pair") -> None:
        """Puts another pair in this one's place, each file by a rename, as whoever renews certificates does."""
        for mine, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            fresh = mine.with_suffix(".new")
            fresh.write_bytes(theirs.read_bytes())
            fresh.replace(mine)


class Authority:
    """Signs certificates for localhost and 127.0.0.1."""

    def __init__(self, folder: Path, name: str, days: int = 2) -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self.certificate, self._key = self._folder / "ca.pem", self._folder / "ca.key"
        _openssl(
            "req", "-x509", *_new_key(self._key), "-subj", f"/CN={name}", "-days", str(days), "-out", self.certificate
        )

    def issue(self, name: str, days: int = 2, extended: str = EXTENSIONS) -> Pair:
        """A fresh key with its certificate; negative days: one that ended so long ago."""
        made = Pair(self._folder / name / "server.pem", self._folder / name / "server.key")
        made.key.parent.mkdir()
        request, extensions = self._folder / f"{name}.csr", self._folder / "extensions"
        extensions.write_text(extended)
        _openssl("req", *_new_key(made.key), "-subj", f"/CN={name}", "-out", request)
        by = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *by, "-days", str(days), "-out", made.certificate)
        return made


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
