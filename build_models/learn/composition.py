"""A baseline that hurts: the coordination number from composition and absorber, without any spectrum."""

import numpy as np
from pymatgen.core import Composition, Element
from sklearn.ensemble import RandomForestClassifier

from build_models.spectra.dataset import CLASSES, Dataset

TREES = 200


def inputs(data: Dataset) -> np.ndarray:
    """Atomic fractions by atomic number, then the absorber's: (n, 119) float32."""
    table = np.zeros((len(data), 119), np.float32)
    for row, (formula, absorber) in enumerate(zip(data.formulas, data.elements, strict=True)):
        for element, fraction in Composition(formula).fractional_composition.items():
            table[row, element.Z] = fraction
        table[row, 0] = Element(absorber).Z
    return table


def predict(data: Dataset, fold: np.ndarray, seed: int) -> np.ndarray:
    """Distributions over `CLASSES` for each site, (n, 16), by forests that did not see its fold."""
    x, out = inputs(data), np.zeros((len(data), len(CLASSES)))
    for i in np.unique(fold):
        seen, test = np.flatnonzero((fold != i) & data.trainable), np.flatnonzero(fold == i)
        forest = RandomForestClassifier(TREES, min_samples_leaf=2, n_jobs=-1, random_state=seed)
        forest.fit(x[seen], data.cn[seen])
        out[np.ix_(test, forest.classes_ - CLASSES[0])] = forest.predict_proba(x[test])
    return out
