"""Temperature and set thresholds, from predictions for materials that the models have not seen."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from build_models.spectra.dataset import CLASSES
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.uncertainty import prediction_set, temper

COVERAGE = 0.90
FEWEST = 100  # an absorber with fewer held-out spectra gets the threshold of all of them


def fit_power(p: np.ndarray, cn: np.ndarray) -> float:
    """The power (1 / temperature) of what a family says, (n, 16), that makes the known numbers, (n,), likeliest."""
    known = np.isin(cn, CLASSES)
    chosen, column = p[known], cn[known] - CLASSES[0]
    if not len(chosen):
        return 1.0

    def loss(log_power: float) -> float:
        own = temper(chosen, np.exp(log_power))[np.arange(len(chosen)), column]
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 1.5), method="bounded").x))


def fit_thresholds(p: np.ndarray, cn: np.ndarray, elements: np.ndarray) -> dict[str, float]:
    """For each absorber the probability below which a class is left out of the 90 % set."""
    own = np.zeros(len(p))  # a coordination number that is no class can be in no set
    known = np.isin(cn, CLASSES)
    own[known] = p[known, cn[known] - CLASSES[0]]
    out = {"all": _threshold(own)}
    for element in ELEMENTS:
        rows = elements == element
        out[element] = _threshold(own[rows]) if rows.sum() >= FEWEST else out["all"]
    return out


def _threshold(own: np.ndarray) -> float:
    n = len(own)
    rank = int(np.floor((n + 1) * (1 - COVERAGE)))
    return float(np.sort(own)[max(rank - 1, 0)]) if n else 0.0


def fit(p: np.ndarray, cn: np.ndarray, elements: np.ndarray) -> dict[str, Any]:
    """Power and thresholds of one family, as the manifest holds them."""
    power = fit_power(p, cn)
    return {"power": power, "thresholds": fit_thresholds(temper(p, power), cn, elements)}


def out_of_fold(
    p: np.ndarray, cn: np.ndarray, elements: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, list[list[int]]]:
    """Calibrated distributions and 90 % sets of each site, with power and thresholds from the other folds alone.

    Each row of p, (n, 16), is by a model that did not see the row's fold.
    """
    calibrated = np.zeros_like(p, dtype=float)
    sets: list[list[int]] = [[]] * len(p)
    for i in np.unique(fold):
        test, rest = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
        fitted = fit(p[rest], cn[rest], elements[rest])
        calibrated[test] = temper(p[test], fitted["power"])
        for row in test:
            sets[row] = prediction_set(calibrated[row], CLASSES, fitted["thresholds"][elements[row]])
    return calibrated, sets


def calibration_error(p: np.ndarray, cn: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the most probable class, equal-width bins."""
    top, right = p.max(1), CLASSES[p.argmax(1)] == cn
    which = np.minimum((top * bins).astype(int), bins - 1)
    return float(
        sum(abs(top[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in np.unique(which))
    )
