"""The model card, README.md of a bundle: a header for the Hugging Face hub, then text for people."""

from collections.abc import Sequence

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveat import Caveat
from vouch.bundle.caveats import (
    baseline_in_words,
    calibration_in_words,
    caveats,
    guarantee_in_words,
    promise_in_words,
    withheld_in_words,
)
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.reliability import Calibration
from vouch.bundle.training import Training
from vouch.cli.printable import printable
from vouch.trainer.judge.exam import Exam
from vouch.trainer.publish.metadata import card_metadata, licence_of
from vouch.trainer.report.wording import sentence

MOST_ROWS = 200
"""The most classes in the table; the others are in manifest.json."""


def model_card(
    name: str,
    labels: tuple[str, ...],
    training: Training,
    exam: Exam,
    known: int = 0,
    pixels: PixelSettings | None = None,
) -> str:
    """The card: what the model is, what it was trained on and its accuracy, for people and for tools.

    Args:
        known: number of validation images that are also in fit or tune, or of a group of theirs.
        pixels: how files are decoded; None to leave it out.
    """
    claim, count = exam.claim, exam.claim.accuracy
    each = f"Balanced accuracy, in which every class counts the same: {claim.balanced}.\n" if claim.balanced else ""
    if isinstance(claim, MultiLabelClaim):
        kind = f"with {len(labels)} labels, any number of them per image"
        table = _table_of_labels(labels, claim, exam.thresholds or ())
    else:
        kind, table = f"with {len(labels)} classes", _table_of_classes(labels, claim)
    sizes = ", ".join(f"{split.size:,} {part}" for part, split in training.splits.items())
    effort = f"{training.seconds:.1f} s with seed {training.seed}{_numbers(training)}"
    card = f"""---
{card_metadata(name, claim, training)}
---
# {name}

An image classifier {kind}: raw pixels in, probabilities out, in `model.onnx`.

**{count}** on images that were {_seen(known, training)}. The bundle contains them, so anyone can count
again: `vouch verify` on this folder.
{each}For comparison: {_cell(baseline_in_words(claim, labels))}.
{_warnings(caveats(claim, exam.calibration, labels))}
{table}
{_reliability(exam.calibration)}{_quantization(exam)}{_files(pixels)}\
{_backbone(training)}
Trained on `{_cell(training.data)}` ({sizes}) in {effort}; `manifest.json` has
every setting and the digests of the data.
{_licence(training)}"""
    return printable(card, keep="\n")


def what_next(sentences: Sequence[str]) -> str:
    """The card's last part: advice.

    Args:
        sentences: without full stops.
    """
    lines = [f"- {_cell(sentence)}." for sentence in sentences]
    return printable("\n".join(["", "What to do next:", "", *lines, ""]), keep="\n")


def _licence(training: Training) -> str:
    return f"\nLicence of this model: {licence}.\n" if (licence := licence_of(training)) else ""


def _numbers(training: Training) -> str:
    """The number format of training steps, if it is not float32."""
    rounded = training.recipe is not None and training.recipe.precision != "float32"
    return ", with training steps in bfloat16 (the graph and this claim are float32)" if rounded else ""


def _files(pixels: PixelSettings | None) -> str:
    if pixels is None:
        return ""
    shape = " x ".join(map(str, pixels.shape))
    return f"""
PNG, JPEG and WebP files become {shape} pixels by {pixels}.
"""


def _seen(known: int, training: Training) -> str:
    if training.asked.get("groups"):
        except_these = f"except {known:,} of them, or others of their groups"
        return f"not used in training, {except_these if known else 'and neither were others of their groups'}"
    return f"not used in training, except {known:,} of them" if known else "not used in training"


def _warnings(found: Sequence[Caveat]) -> str:
    """Warnings, as a box that GitHub and Hugging Face highlight."""
    if not found:
        return ""
    return "\n".join(["", "> [!WARNING]", *(f"> - **Warning:** {_cell(caveat.text)}" for caveat in found), ""])


def _table_of_classes(labels: tuple[str, ...], claim: Claim) -> str:
    per_class = claim.per_class(len(labels))
    listed, said = _listed([part.accuracy for part in per_class], "classes")
    rows = [
        f"| {_cell(labels[k])} | {part.correct:,} | {part.total:,} | {_recall(part)} |"
        for k, part in ((k, per_class[k]) for k in listed)
    ]
    return "\n".join([*said, "| class | correct | images | recall | 95 % interval |", "|---|---|---|---|---|", *rows])


def _table_of_labels(labels: tuple[str, ...], claim: MultiLabelClaim, thresholds: tuple[float, ...]) -> str:
    rows = []
    listed, said = _listed([found / max(1, missed + found) for _, (missed, found) in claim.per_label], "labels")
    for k in listed:
        (_, false_positives), (false_negatives, true_positives) = claim.per_label[k]
        present, answered = false_negatives + true_positives, false_positives + true_positives
        precision = f"{true_positives / answered:.2%}" if answered else "-"
        recall = _recall(Accuracy(correct=true_positives, total=present))
        rows.append(f"| {_cell(labels[k])} | {thresholds[k]:.2f} | {present:,} | {precision} | {recall} |")
    return "\n".join(
        [
            "An image counts as right if exactly its labels are answered. Each label has its own threshold:",
            "",
            *said,
            "| label | threshold | images | precision | recall | 95 % interval |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _recall(count: Accuracy) -> str:
    """Two cells of a table: the recall and its 95 % interval."""
    return f"{count.accuracy:.2%} | {count.low:.2%} to {count.high:.2%}" if count.total else "- | -"


def _listed(shares: Sequence[float], what: str) -> tuple[list[int], list[str]]:
    """Rows of a table, at most MOST_ROWS, with the lowest recall if there are more; and a line that states this."""
    if len(shares) <= MOST_ROWS:
        return list(range(len(shares))), []
    worst = sorted(range(len(shares)), key=shares.__getitem__)[:MOST_ROWS]
    return sorted(worst), [f"The {MOST_ROWS} of {len(shares):,} {what} with the lowest recall:", ""]


def _reliability(calibration: Calibration) -> str:
    said = f"""
Probabilities (expected calibration error): {calibration_in_words(calibration)}.
"""
    reasons = [sentence(_cell(withheld_in_words(one))) for one in calibration.withheld]
    withheld = "".join(f"\n{reason}\n" for reason in reasons)
    if not calibration.coverages:
        return said + withheld
    rows = "\n".join(
        f"| {promise_in_words(one)} | {one.counted} | {_yes(one.kept)} | {one.mean_size:.2f} |"
        for one in calibration.coverages
    )
    rests = guarantee_in_words(calibration).removeprefix("label sets ")
    return f"""{said}
Label sets with a promised coverage, and whether it was kept (no: the interval is below the promise). They
{rests}:

| promised | sets that contain the right label | kept | mean size |
|---|---|---|---|
{rows}
{withheld}"""


def _yes(kept: bool) -> str:
    return "yes" if kept else "**no**"


def _quantization(exam: Exam) -> str:
    if exam.int8_refused:
        return f"""
The graph computes in float32. int8 was requested but not used: {_cell(exam.int8_refused)}.
"""
    if exam.quantized is None:
        return ""
    return f"""
The graph computes in int8, and so do the counts above. Compared with the float32 graph:
{exam.quantized.facts.in_words()}.
"""


def _backbone(training: Training) -> str:
    """The source, licence and digest of the backbone's weights."""
    facts, head = training.backbone, training.head
    if facts is None:
        return ""
    licence = "an unknown licence" if facts.licence == "unknown" else f"the licence {facts.licence}"
    changed = ", and were changed in training" if facts.fine_tuned else ""
    checked = ""
    if head and head.accuracy is not None:
        checked = f" Its cross-validated accuracy on fit is {head.accuracy:.2%} ({head.folds} folds)."
    return f"""
The features are computed by `{_cell(facts.name)}`: {facts.features:,} numbers per image, on which a linear head was
fitted.{checked} The weights of this network are in `model.onnx` too. They are
from {_cell(facts.source)}, under {_cell(licence)}{changed}. SHA-256 of their file: `{facts.weights_sha256}`.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
