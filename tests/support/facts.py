"""What a manifest says of a backbone."""

from dataclasses import replace

from vouch.bundle.backbone import BackboneFacts
from vouch.bundle.opening import Bundle

LITE0 = BackboneFacts(
    name="lite0",
    licence="Apache-2.0",
    source="a package 0.1.0",
    weights_sha256="a" * 64,
    size=(224, 224),
    mean=(127.0,),
    scale=(128.0,),
    features=1280,
)


def on_lite0(bundle: Bundle) -> Bundle:
    """The bundle, as if it had been trained on this backbone."""
    training = bundle.manifest.training.model_copy(update={"backbone": LITE0})
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"training": training}))
