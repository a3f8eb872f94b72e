"""Temperature, weights and set thresholds, from predictions for materials that the models have not seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from build_models.spectra.dataset import CLASSES
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.uncertainty import agreement, combined, temper

COVERAGE = 0.90
FEWEST = 100  # an absorber with fewer held-out spectra gets the threshold of all of them
FEWEST_OF_NUMBER = 20  # a number with fewer is in every set that is to hold each number
CONTRADICTED = 0.005  # of held-out sites, that agree less with their composition than others are flagged for


def fit_power(p: np.ndarray, cn: np.ndarray) -> float:
    """The power (1 / temperature) of what a family says, (n, 16), that makes the known numbers, (n,), likeliest."""
    if not np.isin(cn, CLASSES).any():
        return 1.0
    found = minimize_scalar(lambda power: _loss(temper(p, np.exp(power)), cn), bounds=(-3, 1.5), method="bounded")
    return float(np.exp(found.x))


def fit_weights(p: np.ndarray, told: np.ndarray, prior: np.ndarray, cn: np.ndarray) -> list[float]:
    """Those of `uncertainty.combined` that make the known numbers likeliest."""
    known = np.isin(cn, CLASSES)
    p, told, cn = p[known], told[known], cn[known]
    start = [1.0, 0.5, 0.25]
    found = minimize(
        lambda weights: _loss(combined(p, told, prior, weights), cn), start, method="L-BFGS-B", bounds=[(0, 3)] * 3
    )
    return [float(weight) for weight in found.x] if len(cn) else start


def _loss(p: np.ndarray, cn: np.ndarray) -> float:
    return float(-np.log(np.maximum(own(p, cn)[np.isin(cn, CLASSES)], 1e-12)).mean())


def own(p: np.ndarray, cn: np.ndarray) -> np.ndarray:
    """What each site's own number is given; 0 for one that is no class, and can be in no set."""
    out, known = np.zeros(len(p)), np.isin(cn, CLASSES)
    out[known] = p[known, cn[known] - CLASSES[0]]
    return out


def members(p: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The sets of `uncertainty.prediction_set`, one a row, as a mask over `CLASSES`."""
    return np.asarray(p >= np.minimum(thresholds, p.max(1, keepdims=True)))


def shares(cn: np.ndarray) -> np.ndarray:
    """How common each number is, (16,); none is 0."""
    counts = (cn[:, None] == CLASSES).sum(0) + 1.0
    return counts / counts.sum()


def fit_thresholds(p: np.ndarray, cn: np.ndarray, elements: np.ndarray, prior: np.ndarray) -> dict[str, Any]:
    """Thresholds of the 90 % sets for each absorber, in units of the root of the prior; and those of each number."""
    given = own(p / np.sqrt(prior), cn)
    out = {"all": _threshold(given)}
    for element in ELEMENTS:
        rows = elements == element
        out[element] = _threshold(given[rows]) if rows.sum() >= FEWEST else out["all"]
    of_number = [p[cn == number, i] for i, number in enumerate(CLASSES)]
    each = [_threshold(values) if len(values) >= FEWEST_OF_NUMBER else 0.0 for values in of_number]
    return {"thresholds": out, "each": each}


def _threshold(given: np.ndarray) -> float:
    """Conformal; of fewer than nine there is none that promises anything, and sets hold everything."""
    rank = int((len(given) + 1) * (1 - COVERAGE) + 1e-9)
    return float(np.sort(given)[rank - 1]) if rank else 0.0


def fit(
    p: np.ndarray, cn: np.ndarray, elements: np.ndarray, told: dict[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Power and thresholds of one family, as the manifest holds them.

    `told` are distributions by composition, (n, 16), by what was known of it; for each of them the same again, with the
    weights of spectrum and composition, and how little the two agree for a few of the sites.
    """
    power, prior = fit_power(p, cn), shares(cn)
    calibrated = temper(p, power)
    out = {"power": power, "prior": prior.tolist(), **fit_thresholds(calibrated, cn, elements, prior)}
    for kind, by_composition in (told or {}).items():
        weights = fit_weights(calibrated, by_composition, prior, cn)
        joint = combined(calibrated, by_composition, prior, weights)
        least = float(np.quantile(agreement(calibrated, by_composition), CONTRADICTED))
        out[kind] = {"weights": weights, "agreement": least, **fit_thresholds(joint, cn, elements, prior)}
    return out


def out_of_fold(
    p: np.ndarray, cn: np.ndarray, elements: np.ndarray, fold: np.ndarray, told: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated distributions, 90 % sets and sets for each number, (n, 16) each, fitted to the other folds alone.

    Each row of p, (n, 16), is by a model that did not see the row's fold; so is each of `told`, by composition, where
    it is to be used.
    """
    calibrated = np.zeros_like(p, dtype=float)
    thresholds, least = np.zeros_like(calibrated), np.zeros_like(calibrated)
    for i in np.unique(fold):
        test, rest = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
        fitted = fit(p[rest], cn[rest], elements[rest], None if told is None else {"told": told[rest]})
        prior, use = np.array(fitted["prior"]), fitted if told is None else fitted["told"]
        calibrated[test] = temper(p[test], fitted["power"])
        if told is not None:
            calibrated[test] = combined(calibrated[test], told[test], prior, use["weights"])
        thresholds[test], least[test] = thresholds_of(use, prior, elements[test])
    return calibrated, members(calibrated, thresholds), members(calibrated, least)


def thresholds_of(fitted: Mapping[str, Any], prior: np.ndarray, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of `cn_set` and of `cn_set_each` of each site, (n, 16), as users get them."""
    thresholds = np.array([fitted["thresholds"][element] for element in elements])[:, None] * np.sqrt(prior)
    return thresholds, np.minimum(fitted["each"], thresholds)  # nothing is ruled out that the smaller set holds


def calibration_error(p: np.ndarray, cn: np.ndarray) -> float:
    """Expected calibration error of the most probable class, 15 bins of equal width."""
    top, right = p.max(1), CLASSES[p.argmax(1)] == cn
    return float(np.abs(np.bincount(np.minimum((top * 15).astype(int), 14), top - right)).sum() / len(p))


def mean_of(values: np.ndarray) -> float:
    """Their mean; NaN where there are none."""
    return float(values.mean()) if len(values) else float("nan")
