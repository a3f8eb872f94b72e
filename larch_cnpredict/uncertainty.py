"""From a family's probabilities to a calibrated distribution, its mean, and a prediction set."""

import numpy as np

# A family that never saw a class says 0, and it is not to be as sure as that.
FLOOR = 1e-3


def temper(p: np.ndarray, power: float) -> np.ndarray:
    """A family's probabilities, (n, n_classes), at the temperature 1 / power that was fitted to held-out materials."""
    p = np.maximum(p, FLOOR) ** power
    return np.asarray(p / p.sum(1, keepdims=True))


def prediction_set(p: np.ndarray, classes: np.ndarray, threshold: float) -> list[int]:
    """The classes at least as probable as `threshold`, and always the most probable one.

    Split conformal prediction with 1 - p as the score (Sadinle, Lei, Wasserman, J. Am. Stat. Assoc. 114 (2019) 223);
    the threshold is the quantile of held-out materials' own probabilities that leaves out 10 % of them.
    """
    return [int(c) for c, q in zip(classes, p, strict=True) if q >= min(threshold, p.max())]


def mean_and_std(p: np.ndarray, classes: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the distribution."""
    mean = float(p @ classes)
    return mean, float(np.sqrt(p @ (classes - mean) ** 2))
