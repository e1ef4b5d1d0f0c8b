"""Models that are fitted to the same images: scikit-learn's classics, with their default settings, on raw pixels."""

import time
from typing import Any

from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from benchmarks.training.data import Part
from benchmarks.training.lines import NEIGHBOURS, SVM

CLASSICS = {SVM: SVC, NEIGHBOURS: KNeighborsClassifier}
"""A support vector machine with a Gaussian kernel (RBF), and the five nearest neighbours."""


def right_answers(name: str, fit: Part, validation: Part) -> dict[str, Any]:
    """What one of them came to: right answers, of how many, and the seconds of fitting and answering."""
    (images, labels), (asked, wanted) = fit, validation
    began = time.perf_counter()
    learned = CLASSICS[name]().fit(images.reshape(len(images), -1) / 255, labels)
    answers = learned.predict(asked.reshape(len(asked), -1) / 255)
    seconds = time.perf_counter() - began
    return {"correct": int((answers == wanted).sum()), "total": len(wanted), "seconds": round(seconds, 2)}
