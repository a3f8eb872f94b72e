"""The coordination number from composition and absorber, without any spectrum: forests that ship, and a baseline."""

import numpy as np
from pymatgen.core import Composition
from sklearn.ensemble import RandomForestClassifier

from build_models.learn.families import Trees
from build_models.spectra.dataset import CLASSES, Dataset
from larch_cnpredict import composition

# 'formula' knows the amounts, 'elements' does not. They learn from every labelled site: what has no run of FEFF has
# its formula. More and deeper trees gain half a point and are many times as large.
KINDS = ("formula", "elements")
TREES, LEAF, SHARE = 24, 6, 0.2


def inputs(data: Dataset, kind: str) -> np.ndarray:
    """What one of `KINDS` reads of the formulas."""
    amounts = [Composition(formula).get_el_amt_dict() for formula in data.formulas]
    if kind == "elements":
        amounts = [dict.fromkeys(symbols, 1.0) for symbols in amounts]
    return composition.inputs(amounts, data.elements.tolist())


def fit(data: Dataset, kind: str, seed: int) -> Trees:
    """One of `KINDS` fitted to the sites of the data."""
    trees = Trees("forest")
    trees.model = RandomForestClassifier(
        TREES, min_samples_leaf=LEAF, max_features=SHARE, n_jobs=-1, random_state=seed
    ).fit(inputs(data, kind), data.cn)
    return trees


def predict(data: Dataset, fold: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """Distributions over `CLASSES` for each site but the extra ones, (n, 16), by forests that did not see its fold."""
    out = np.zeros((len(data), len(CLASSES)))
    for i in np.unique(fold):
        seen, test = np.flatnonzero((fold != i) & data.trainable), np.flatnonzero((fold == i) & ~data.extra)
        out[test] = fit(data.take(seen), kind, seed).predict(inputs(data.take(test), kind))
    return out[~data.extra]
