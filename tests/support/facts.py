"""What a manifest says of a backbone."""

from vouch.bundle.backbone import BackboneFacts

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
