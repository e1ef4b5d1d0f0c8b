"""Other methods on the same images: plain split conformal with our model, scikit-learn's probabilities, and MAPIE.

With their default settings, except that all make least ambiguous sets, as Vouch does. scikit-learn and MAPIE use
logistic regression, on pixels between 0 and 1, or on standardised features of the same backbone.
"""

import warnings
from dataclasses import replace
from math import ceil

import numpy as np
from mapie.classification import CrossConformalClassifier, SplitConformalClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from benchmarks.honesty.draws import Draw
from benchmarks.honesty.ours import Learner, learn, probabilities
from benchmarks.honesty.promises import PLAIN, Figures, of_sets, of_thresholds, true_error
from vouch.bundle.label_sets import COVERAGES
from vouch.trainer.settings import TrainSettings

HELD = 0.2
"""Of the images to learn from, for split conformal."""
LOGISTIC, CALIBRATED = "LogisticRegression", "CalibratedClassifierCV"
MAPIE_SPLIT, MAPIE_CROSS = "MAPIE split", "MAPIE cross"
FOLDS = 5

Inputs = tuple[np.ndarray, np.ndarray]
"""float32, shape (N, D), of the images to learn from, and of those that the truth is counted on."""


def plain_split(learner: Learner, draw: Draw) -> Figures:
    """The same model, fitted to 80 % of the images, with thresholds from the rest that are right on average: of n
    images the ceil((n + 1) * coverage)-th largest probability of the truth.
    """
    learned = learn(replace(learner, policy=TrainSettings(tune_share=HELD)), draw)
    labels = learned.judges.labels
    of_truth = np.sort(learned.judges.probabilities(learned.temperature)[np.arange(len(labels)), labels])[::-1]
    ranks = {coverage: ceil((len(labels) + 1) * coverage - 1e-9) for coverage in COVERAGES}
    promises = {
        coverage: float(of_truth[rank - 1]) if rank <= len(of_truth) else None for coverage, rank in ranks.items()
    }
    return of_thresholds(PLAIN, promises, probabilities(learned.scores(draw.truth)), draw.truth.labels)


def others(inputs: Inputs, draw: Draw) -> Figures:
    """Of all that is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _probabilities(inputs, draw) | _sets(inputs, draw)


def _probabilities(inputs: Inputs, draw: Draw) -> Figures:
    """scikit-learn promises no coverage; taken at their word, probabilities do: the most probable classes whose sum
    reaches it.
    """
    found: Figures = {}
    labels = draw.truth.labels
    models = {LOGISTIC: LogisticRegression(), CALIBRATED: CalibratedClassifierCV(LogisticRegression(), cv=FOLDS)}
    for name, model in models.items():
        answers = model.fit(inputs[0], draw.pool.labels).predict_proba(inputs[1])
        found[f"{name} accuracy"] = float((answers.argmax(axis=1) == labels).mean())
        found[f"{name} error"] = true_error(answers, labels)
        for coverage in COVERAGES:
            found |= of_sets(name, coverage, _reaching(answers, coverage), labels)
    return found


def _reaching(answers: np.ndarray, coverage: float) -> np.ndarray:
    """Of each image the fewest classes whose probabilities sum up to this: bool, shape (N, K)."""
    order = np.argsort(-answers, axis=1)
    before = np.cumsum(np.take_along_axis(answers, order, axis=1), axis=1)
    before = np.concatenate([np.zeros((len(answers), 1)), before[:, :-1]], axis=1)
    sets = np.zeros(answers.shape, dtype=np.bool_)
    np.put_along_axis(sets, order, before < coverage, axis=1)
    return sets


def _sets(inputs: Inputs, draw: Draw) -> Figures:
    """MAPIE's, each at those coverages that it takes for so many images."""
    labels, found, lac = draw.pool.labels, Figures(), "lac"
    learned, held, learned_labels, held_labels = train_test_split(
        inputs[0], labels, test_size=HELD, stratify=labels, random_state=draw.number
    )
    if levels := _taken(len(held)):
        fitted = LogisticRegression().fit(learned, learned_labels)
        split = SplitConformalClassifier(fitted, confidence_level=levels, conformity_score=lac, prefit=True)
        split.conformalize(held, held_labels)
        found |= _of_mapie(MAPIE_SPLIT, levels, split.predict_set(inputs[1])[1], draw.truth.labels)
    if levels := _taken(len(labels)):
        cross = CrossConformalClassifier(
            LogisticRegression(), confidence_level=levels, conformity_score=lac, cv=FOLDS, random_state=draw.number
        )
        cross.fit_conformalize(inputs[0], labels)
        found |= _of_mapie(MAPIE_CROSS, levels, cross.predict_set(inputs[1])[1], draw.truth.labels)
    return found


def _taken(images: int) -> list[float]:
    """The coverages that MAPIE takes for so many images."""
    return [coverage for coverage in COVERAGES if images >= 1 / (1 - coverage)]


def _of_mapie(name: str, levels: list[float], sets: np.ndarray, labels: np.ndarray) -> Figures:
    """
    Args:
        sets: bool, shape (N, K, L), for L coverages.
    """
    found: Figures = {}
    for number, coverage in enumerate(levels):
        found |= of_sets(name, coverage, sets[:, :, number], labels)
    return found
