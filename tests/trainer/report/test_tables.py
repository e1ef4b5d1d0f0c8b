from dataclasses import replace

from tests.trainer.report.runs import finished, noise_splits
from vouch.trainer.report.tables import tables


def test_what_changed_on_the_way_stands_beside_the_recipe() -> None:
    """A recipe says what was meant; where a fit left something out on the way, the page says that too."""
    run, _ = finished(noise_splits(("a", "b"), (6, 6)))
    first, *others = run.fitted.epochs
    epochs = (replace(first, note="mirrored images are not learned"), *others)
    changed = replace(run, fitted=replace(run.fitted, epochs=epochs))

    assert "Changes during training" not in dict(tables(run))
    assert dict(tables(changed))["Changes during training"] == [("epoch 0", "mirrored images are not learned")]
