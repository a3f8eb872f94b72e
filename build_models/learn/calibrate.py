"""Weights, temperature and set thresholds, from predictions for materials that the models have not seen."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from build_models.spectra.dataset import CLASSES
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.uncertainty import pool

COVERAGE = 0.90
FEWEST = 100  # an absorber with fewer held-out spectra gets the threshold of all of them


def fit_weights(families: Mapping[str, np.ndarray], cn: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Weights of the pool that give the known coordination numbers the highest likelihood."""
    known = np.isin(cn, CLASSES)
    chosen = {name: families[name][known] for name in names}
    column = cn[known] - CLASSES[0]

    def loss(x):
        p = pool(chosen, dict(zip(names, np.exp(x), strict=True)))
        return -np.log(np.maximum(p[np.arange(len(p)), column], 1e-12)).mean()

    found = minimize(loss, np.full(len(names), -np.log(len(names))), method="L-BFGS-B", bounds=[(-6, 1)] * len(names))
    return {name: float(w) for name, w in zip(names, np.exp(found.x), strict=True)}


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


def calibration_error(p: np.ndarray, cn: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the most probable class, equal-width bins."""
    top, right = p.max(1), CLASSES[p.argmax(1)] == cn
    which = np.minimum((top * bins).astype(int), bins - 1)
    return float(
        sum(abs(top[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in np.unique(which))
    )
