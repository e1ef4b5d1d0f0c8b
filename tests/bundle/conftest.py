from pathlib import Path

import pytest

from vouch.bundle.store import ModelsFolder


@pytest.fixture
def models(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")
