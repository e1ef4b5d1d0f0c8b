"""Line-ups that nobody verified, for tests of those who follow them."""

from vouch.bundle.opening import Bundle
from vouch.server.lineup.lineup import LineUp, Model, Refusal, RunPlan, Version
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served


def listed(bundle: Bundle, threads: int = 1, inline_images: int = 0) -> Version:
    """A version that is to be served, as if its recount had given its claim."""
    return Version(
        version=bundle.manifest.version,
        path=bundle.path,
        digest=bundle.digest,
        served=bundle.manifest.claim.accuracy,
        plan=RunPlan(threads=threads, inline_images=inline_images),
    )


def line_up(*models: Model, number: int = 1, complete: bool = True) -> LineUp:
    """Of these models, by name."""
    return LineUp(number=number, complete=complete, models=tuple(sorted(models, key=lambda model: model.name)))


class Published:
    """What a catalog is told, changed step by step: each change is a line-up that it follows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._models: dict[str, Model] = {}
        self._number = 0

    def serve(self, served: Served) -> Served:
        """The only version of its model from now on; refusals of higher ones stay."""
        model = self._model(served.name)
        higher = tuple(one for one in model.refusals if one.version > served.version)
        self._follow(model.model_copy(update={"versions": (listed(served.bundle),), "refusals": higher}))
        self._catalog.install(served)
        return served

    def serve_beside(self, served: Served) -> Served:
        """One more version of its model; the one that was served first stays the live one."""
        model = self._model(served.name)
        self._follow(model.model_copy(update={"versions": (*model.versions, listed(served.bundle))}))
        self._catalog.install(served)
        return served

    def refuse(self, name: str, version: int, reason: str, held_back: bool = False) -> None:
        """Says that a version is not served, and no longer verified."""
        model = self._model(name)
        others = [one for one in model.refusals if one.version != version]
        refusals = sorted(
            (*others, Refusal(version=version, reason=reason, held_back=held_back)), key=lambda one: one.version
        )
        verifying = tuple(one for one in model.verifying if one != version)
        self._follow(model.model_copy(update={"refusals": tuple(refusals), "verifying": verifying}))

    def verify(self, name: str, *versions: int) -> None:
        """Says that these versions are being verified."""
        self._follow(self._model(name).model_copy(update={"verifying": tuple(sorted(versions))}))

    def remove_all(self) -> None:
        """Nothing is published any more."""
        self._models.clear()
        self._follow()

    def _model(self, name: str) -> Model:
        return self._models.get(name) or Model(name=name)

    def _follow(self, *changed: Model) -> None:
        self._models |= {model.name: model for model in changed}
        self._number += 1
        self._catalog.follow(line_up(*self._models.values(), number=self._number))
