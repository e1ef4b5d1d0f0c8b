from typing import Any

import pytest
from pydantic import ValidationError

from vouch.bundle.backbone import BackboneFacts

BACKBONE: dict[str, Any] = {
    "name": "lite0",
    "licence": "Apache-2.0",
    "source": "a package 0.1.0",
    "weights_sha256": "0" * 64,
    "size": (224, 224),
    "mean": (127.0,),
    "scale": (128.0,),
    "features": 1280,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 201},
        {"licence": "x" * 1_001},
        {"weights_sha256": "0" * 63},
        {"size": (0, 224)},
        {"size": (224, 1 << 17)},
        {"mean": ()},
        {"mean": (1.0,) * 5},
        {"scale": (float("nan"),)},
        {"features": 0},
        {"features": 1 << 21},
        {"weights": "in full"},
    ],
)
def test_what_a_manifest_says_of_a_backbone_is_bounded(wrong: dict[str, Any]) -> None:
    """Sizes, texts and numbers that no backbone has are refused; what one has is read as it was written."""
    facts = BackboneFacts.model_validate(BACKBONE)

    assert BackboneFacts.model_validate_json(facts.model_dump_json()) == facts
    with pytest.raises(ValidationError):
        BackboneFacts.model_validate(BACKBONE | wrong)
