"""The networks of samples: mean coordination number and kind, and the intervals that hold 90 % of held-out samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from build_models.learn.calibrate import COVERAGE, FEWEST
from build_models.learn.families import Network
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, HEADS, ONE, kinds, middle, shortest

# members and hidden units
SIZES = {"complex": (3, 256), "magnitude": (1, 256)}
EPOCHS, COPIES = 24, 16
LEVELS = np.arange(0.5, 0.996, 0.005)


def network(reads: str) -> Network:
    """Networks to be fitted to the copies of `spectra.samples.make`."""
    members, hidden = SIZES[reads]
    return Network(reads, "convolutional", members, HEADS, hidden)


def fit_levels(says: np.ndarray, mean: np.ndarray, elements: np.ndarray) -> dict[str, Any]:
    """How much of its distribution the shortest interval is to hold, so that it holds the mean of 90 % of the samples.

    By the kind that is said and by absorber; where these are few by kind, or over all. `says` is (n, 64).
    """
    held = holds(says, mean)
    said = kinds(says)

    def level(rows: np.ndarray) -> float:
        enough = held[rows].mean(0) >= COVERAGE
        return float(LEVELS[enough.argmax()] if enough.any() else LEVELS[-1])

    everything = np.ones(len(says), bool)
    out: dict[str, dict[str, float]] = {}
    for i, name in enumerate(KINDS):
        own = said == i if (said == i).sum() >= FEWEST else everything
        narrow = {e: own & (elements == e) for e in ELEMENTS}
        out[name] = {e: level(rows if rows.sum() >= FEWEST else own) for e, rows in narrow.items()}
    return {"levels": out}


def holds(says: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Whether the shortest interval of each of `LEVELS` holds the mean: (n, n_levels)."""
    out = np.zeros((len(says), len(LEVELS)), bool)
    for i, (row, true) in enumerate(zip(says, mean, strict=True)):
        for j, level in enumerate(LEVELS):
            low, high = shortest(row[: len(GRID)], level)
            out[i, j] = low <= true <= high
    return out


def score(
    says: np.ndarray, mean: np.ndarray, kind: np.ndarray, intervals: np.ndarray, baseline: np.ndarray
) -> dict[str, float]:
    """How well samples are described; `baseline` is what is said without a spectrum."""
    own = np.array([middle(row[: len(GRID)]) for row in says])
    several, said = kind != ONE, 1 - says[:, len(GRID) + ONE] >= 0.5
    return {
        "samples": len(says),
        "mean_error": float(np.abs(own - mean).mean()),
        "mean_error_of_absorber_mean": float(np.abs(baseline - mean).mean()),
        "coverage": float(((intervals[:, 0] <= mean) & (mean <= intervals[:, 1])).mean()),
        "width": float((intervals[:, 1] - intervals[:, 0]).mean()),
        "one_called_several": float(said[~several].mean()) if (~several).any() else float("nan"),
        "several_called_so": float(said[several].mean()) if several.any() else float("nan"),
    }
