"""The networks of samples: mean coordination number and kind, and the intervals that hold 90 % of held-out samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from build_models.learn.calibrate import COVERAGE, FEWEST, mean_of
from build_models.learn.families import Network, Recipe
from build_models.spectra.copies import Copies
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, HEADS, ONE, TOLD, kinds, middle, mixture, read, shortest

# members and hidden units
SIZES = {"complex": (3, 256), "magnitude": (1, 256)}
EPOCHS, COPIES = 24, 20
# Share of single sites that are said to be several: as is asked of pure spectra. Less finds fewer mixtures;
# stage `confirm` has both on the card.
FALSE_ALARMS = 0.05
LEVELS = np.arange(0.5, 0.996, 0.005)


class Told(Copies):
    """Copies of samples as the networks of samples read them."""

    def inputs(self, reads: str, copy: int, rows: np.ndarray) -> np.ndarray:
        x = super().inputs(reads, copy, rows)
        return read(x[:, :-TOLD], x[:, -TOLD:])


def fit_networks(reads: str, spectra: Copies, rows: np.ndarray, recipe: Recipe, seed: int) -> Network:
    """The networks, fitted to some anchors of the copies of `spectra.samples.make`."""
    members, hidden = SIZES[reads]
    recipe = replace(recipe, epochs=EPOCHS)
    return Network(reads, "convolutional", members, HEADS, hidden).fit(Told(**vars(spectra)), rows, recipe, seed)


def fit(says: np.ndarray, mean: np.ndarray, kind: np.ndarray, elements: np.ndarray) -> dict[str, Any]:
    """The calibration of what networks say, (n, 64), of samples with known mean and kind.

    `odds`, by absorber, leave few single sites that are said to be several. `levels`, by the kind that is said and by
    absorber (where these are few by kind, or over all), are how much of its distribution the shortest interval is to
    hold, so that it holds the mean of 90 % of the samples. In these 90 % single sites, mixtures and particles count
    alike: most samples are single sites, whose mean is easy, and intervals that hold nine of ten of all held 94 % of
    them and 82 % of the mixtures.
    """
    odds = dict.fromkeys(ELEMENTS, 1.0) | odds_of(says[kind == ONE], elements[kind == ONE])
    said = kinds(says, np.array([odds[e] for e in elements]))
    held = holds(says, mean)
    counts = 1 / np.bincount(kind, minlength=len(KINDS)).clip(1)[kind]

    def level(rows: np.ndarray) -> float:
        n = rows.sum()  # and one more, the sample that is asked about: it may not be held
        enough = counts[rows] @ held[rows] >= COVERAGE * counts[rows].sum() * (n + 1) / max(n, 1)
        return float(LEVELS[enough.argmax()] if n and enough.any() else LEVELS[-1])

    everything = np.ones(len(says), bool)
    out: dict[str, dict[str, float]] = {}
    for i, name in enumerate(KINDS):
        own = said == i if (said == i).sum() >= FEWEST else everything
        narrow = {e: own & (elements == e) for e in ELEMENTS}
        out[name] = {e: level(rows if rows.sum() >= FEWEST else own) for e, rows in narrow.items()}
    return {"odds": odds, "levels": out}


def odds_of(says: np.ndarray, elements: np.ndarray) -> dict[str, float]:
    """The odds that leave few of these single sites that are said to be several, by absorber where there are enough."""
    several = mixture(says, np.ones(len(says)))
    names, counts = np.unique(elements, return_counts=True)
    high = {str(e): np.quantile(several[elements == e], 1 - FALSE_ALARMS) for e in names[counts >= FEWEST]}
    return {e: float(min(1.0, (1 - one) / max(one, 1e-9))) for e, one in high.items()}


def holds(says: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Whether the shortest interval of each of `LEVELS` holds the mean: (n, n_levels)."""
    out = np.zeros((len(says), len(LEVELS)), bool)
    for i, (row, true) in enumerate(zip(says, mean, strict=True)):
        low, high = shortest(row[: len(GRID)], LEVELS).T
        out[i] = (low <= true) & (true <= high)
    return out


def score(
    says: np.ndarray,
    mean: np.ndarray,
    kind: np.ndarray,
    said: np.ndarray,
    intervals: np.ndarray,
    baseline: np.ndarray,
) -> dict[str, float]:
    """How well samples are described; `said` are kinds, `baseline` is the mean that is said without a spectrum."""
    own = np.array([middle(row[: len(GRID)]) for row in says])
    several, alarm = kind != ONE, said != ONE
    return {
        "samples": len(says),
        "mean_error": float(np.abs(own - mean).mean()),
        "mean_error_of_absorber_mean": float(np.abs(baseline - mean).mean()),
        "coverage": float(((intervals[:, 0] <= mean) & (mean <= intervals[:, 1])).mean()),
        "width": float((intervals[:, 1] - intervals[:, 0]).mean()),
        "one_called_several": mean_of(alarm[~several]),
        "several_called_so": mean_of(alarm[several]),
    }
