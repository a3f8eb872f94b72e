"""How right a model is: figures from answers and labels, and the baselines beside them."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from build_models.learn.calibrate import calibration_error, mean_of, own
from build_models.report.card import CITATIONS
from build_models.spectra.dataset import CLASSES, CLEAR, Dataset
from larch_cnpredict.domain import SURE
from larch_cnpredict.features import ELEMENTS

_ID = re.compile(rf"({'|'.join(CITATIONS)})-\d")  # a file may have any name


def describe(data: Dataset) -> dict[str, Any]:
    """What the table holds."""
    return {
        "sites": len(data),
        "formulas": len(set(data.formulas)),
        "prototypes": len(set(data.prototypes)),
        "clear": int((data.weight > CLEAR).sum()),
        "not_labelled_1_to_16": int((~data.trainable).sum()),
        "digest": data.digest,
        "sources": dict(Counter(found[1] if (found := _ID.match(site)) else "files" for site in data.sites)),
        "per_absorber": {e: int((data.elements == e).sum()) for e in ELEMENTS if (data.elements == e).any()},
    }


def by_absorber(data: Dataset, score: Callable, **said: Any) -> dict[str, dict[str, float]]:
    """A score of what is said, over all sites ('all'), and over those of each absorber."""
    rows = {"all": np.arange(len(data))} | {e: np.flatnonzero(data.elements == e) for e in ELEMENTS}
    return {name: score(data, some, **said) for name, some in rows.items() if len(some)}


def rates(data: Dataset, rows: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """How often one number for each site is right: of all, of clear sites, within one, and balanced over numbers.

    `guess` is what is said of all sites of the data, `rows` are those that count. Balanced is macro F1 over those of
    `CLASSES` that some of these sites have: a number that no model can say would only lower it.
    """
    cn, guess = data.cn[rows], guess[rows]
    right, known = guess == cn, CLASSES[np.isin(CLASSES, cn)]
    return {
        "accuracy": float(right.mean()),
        "clear": mean_of(right[data.weight[rows] > CLEAR]),
        "within1": float((np.abs(guess - cn) <= 1).mean()),
        "macro_f1": float(f1_score(cn, guess, labels=known, average="macro", zero_division=0))
        if len(known)
        else np.nan,
    }


def score(data: Dataset, rows: np.ndarray, p: np.ndarray, sets: np.ndarray) -> dict[str, float]:
    """What is said of a model's distributions and 90 % sets, a mask, on some rows; `p` and `sets` are of all sites."""
    known = rows[data.trainable[rows]]  # CrystalNN's distributions, where it has one over these numbers
    logs = np.log(np.maximum(p[known], 1e-4))
    return rates(data, rows, CLASSES[p.argmax(1)]) | {
        "log_loss": float(-(data.labels[known] * logs).sum(1).mean()),
        "calibration_error": calibration_error(p[rows], data.cn[rows]),
        "mean_error": float(np.abs(p[known] @ CLASSES - data.labels[known] @ CLASSES).mean()),
        "coverage": float(own(sets[rows], data.cn[rows]).mean()),
        "set_size": float(sets[rows].sum(1).mean()),
    }


def sure(p: np.ndarray, cn: np.ndarray) -> dict[str, float]:
    """How many distributions, (n, 16), are sure of a number (p of 0.8 or more), and how many of these are right."""
    top, right = p.max(1), CLASSES[p.argmax(1)] == cn
    certain = top >= SURE
    return {
        "sites": len(p),
        "accuracy": float(right.mean()),
        "sure": float(certain.mean()),
        "right": mean_of(right[certain]),
        "mean": mean_of(top[certain]),
        "calibration_error": calibration_error(p, cn),
    }


def majority(data: Dataset, fold: np.ndarray) -> np.ndarray:
    """For each site the commonest number of its absorber in the other folds."""
    return of_the_absorber(data.cn, data.elements, fold, lambda cn: np.bincount(cn).argmax())


def of_the_absorber(
    values: np.ndarray, elements: np.ndarray, fold: np.ndarray, summary: Callable[[np.ndarray], Any]
) -> np.ndarray:
    """For each row a summary of its absorber's values in the other folds; of all values there, where it has none."""
    out = np.zeros_like(values)
    for i in np.unique(fold):
        for element in np.unique(elements):
            others = (fold != i) & (elements == element)
            out[(fold == i) & (elements == element)] = summary(values[others if others.any() else fold != i])
    return out


def by_number(data: Dataset, p: np.ndarray, sets: np.ndarray, each: np.ndarray) -> dict[str, dict[str, float]]:
    """For each coordination number: sites, share found, shares that the sets hold, what it is mostly taken for else.

    `each` are the sets that are to hold each number nine times in ten.
    """
    out = {}
    guess = CLASSES[p.argmax(1)]
    for place, cn in enumerate(CLASSES):
        rows = np.flatnonzero(data.cn == cn)
        if not len(rows):
            continue
        wrong = guess[rows][guess[rows] != cn]
        out[str(cn)] = {
            "sites": len(rows),
            "found": float((guess[rows] == cn).mean()),
            "coverage": float(sets[rows, place].mean()),
            "each": float(each[rows, place].mean()),
            "taken_for": int(np.bincount(wrong).argmax()) if len(wrong) else int(cn),
        }
    return out
