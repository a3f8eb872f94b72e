"""From a family's probabilities to a calibrated distribution, and a prediction set."""

from collections.abc import Sequence

import numpy as np

# A family that never saw a class says 0, and it is not to be as sure as that.
FLOOR = 1e-3


def temper(p: np.ndarray, power: float) -> np.ndarray:
    """A family's probabilities, (n, n_classes), at the temperature 1 / power that was fitted to held-out materials."""
    p = np.maximum(p, FLOOR) ** power
    return np.asarray(p / p.sum(1, keepdims=True))


def combined(p: np.ndarray, composition: np.ndarray, prior: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Calibrated distributions by spectrum and by composition, (n, n_classes) each, as one: a product of experts."""
    a, b, c = weights  # fitted to held-out materials; what both know without looking, the prior, is not to count twice
    product = p**a * np.maximum(composition, FLOOR) ** b / prior**c
    return np.asarray(product / product.sum(-1, keepdims=True))


def agreement(p: np.ndarray, composition: np.ndarray) -> np.ndarray:
    """What two distributions have in common, (n,): 1 where they are the same, 0 where they exclude each other."""
    return np.asarray(np.minimum(p, composition).sum(-1))


def with_sample(p: np.ndarray, near: float, elsewhere: np.ndarray) -> np.ndarray:
    """A distribution whose largest member is lowered where the sample as a whole does not agree with it.

    `near` is how probable the networks of samples find a mean within 0.5 of that number: both have to say it, so the
    largest p is the product. The rest goes where these find the mean, by `elsewhere`, its distribution over the same
    numbers, and to none more than the largest has. How many mixtures mislead with it and without, and what single
    sites pay, is on the card.
    """
    first = np.arange(len(p)) == p.argmax()
    limit = max(p.max() * near, 1 / len(p))
    others = np.where(first, 0, near * p + (1 - near) * elsewhere + FLOOR * p)
    falling = np.sort(others[~first])[::-1]
    # where none, one, two, ... of the others have the limit, the rest share what is left in proportion; the last is
    # never left more than the limit, but for rounding
    scales = (1 - limit * np.arange(1, len(p))) / falling[::-1].cumsum()[::-1]
    scale = scales[(scales * falling <= limit * (1 + 1e-9)).argmax()]
    return np.asarray(np.where(first, limit, np.minimum(scale * others, limit)))


def prediction_set(p: np.ndarray, classes: np.ndarray, threshold: float | np.ndarray) -> list[int]:
    """The classes at least as probable as their threshold, and always the most probable one.

    Split conformal prediction with 1 - p as the score (Sadinle, Lei, Wasserman, J. Am. Stat. Assoc. 114 (2019) 223);
    thresholds are quantiles of held-out materials' own probabilities that leave out 10 % of them: proportional to the
    root of how common a number is, so that the rare ones are not those left out; or for each number its own quantile.
    """
    return [int(c) for c, q in zip(classes, p >= np.minimum(threshold, p.max()), strict=True) if q]
