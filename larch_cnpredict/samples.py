"""What is said of a sample as a whole: the mean coordination number of its absorbers, and what kind of sample it is.

Networks of its own answer, trained on single sites, mixtures and particles: one distribution over numbers cannot say
both "which of these, I am not sure" and "both of these, in shares".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .composition import NOBLE
from .features import COMPLEX_KWEIGHTS, COMPLEX_SIZE, ELEMENTS, R_POOLED
from .result import KINDS, mean_text

ONE, SEVERAL, PARTICLE = range(len(KINDS))
STEP = 0.25
GRID = np.arange(1, 16 + STEP / 2, STEP)  # mean coordination numbers that the networks tell apart
HEADS = (len(GRID), len(KINDS))  # what they say: a distribution over `GRID`, and one over `KINDS`
S02_CENTER, S02_UNIT = 0.8, 0.15
TOLD = 2 + NOBLE[-1] + 1  # columns of `told_columns`
# What heights are taken of, Å: amplitude and number multiply, and logarithms of both add up
STARTS, WIDTH = (1.0, 1.5, 2.0, 2.5, 3.0), 0.5
LOWEST = 1e-3  # Å^-3: nothing is as low in |chi(R)|
READ = {"s02": [S02_CENTER, S02_UNIT], "starts": list(STARTS), "width": WIDTH, "lowest": LOWEST}  # for manifests
_PARTS = np.array([(start <= R_POOLED) & (start + WIDTH > R_POOLED) for start in STARTS], dtype=np.float32).T
_MEANS = _PARTS / _PARTS.sum(0)  # over each of them
_EDGES = np.append(GRID - STEP / 2, GRID[-1] + STEP / 2)


@dataclass(frozen=True)
class Sample:
    cn_mean: float  # and what follows as in `Prediction`
    cn_std: float
    cn_mean_interval: list[float]
    mixture: float
    kind: str
    density: np.ndarray  # of the mean, on `GRID`

    @property
    def mean_text(self) -> str:
        return mean_text(self.cn_mean, self.cn_mean_interval)


def describe(says: np.ndarray, elements: list[str], calibration: Mapping[str, Any], one: bool = False) -> list[Sample]:
    """What the networks say, (n, 64), in words and numbers; `calibration` is theirs in the manifest.

    `one`: whether the samples are told to be one site each.
    """
    odds, out = np.array([calibration["odds"][element] for element in elements]), []
    for row, element, i, several in zip(says, elements, kinds(says, odds), mixture(says, odds), strict=True):
        density, kind = row[: len(GRID)], KINDS[ONE if one else i]
        mean, (low, high) = middle(density), shortest(density, calibration["levels"][kind][element]).tolist()
        std = float(np.sqrt(density @ (GRID - density @ GRID) ** 2))
        out.append(Sample(mean, std, [min(low, mean), max(high, mean)], float(several), kind, density))
    return out


def near(density: np.ndarray, number: int | np.ndarray) -> np.ndarray:
    """How much of distributions over `GRID`, (..., 61), is within 0.5 of a number, (...)."""
    return np.asarray((density * (np.abs(GRID - np.asarray(number)[..., None]) <= 0.5)).sum(-1))


def by_number(density: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Distributions over `GRID`, (..., 61), by the nearest number, (..., n_classes); halves are shared."""
    away = np.abs(GRID - np.asarray(classes)[:, None])
    return np.asarray(density @ ((away < 0.5) + 0.5 * (away == 0.5)).T)


def told_columns(s02: np.ndarray, there: np.ndarray) -> np.ndarray:
    """What the networks are told beside the spectrum: s02, (n,), NaN where nobody knows it; elements, (n, 119).

    In `there`, a mask by atomic number, none is set where nobody says what the sample is made of.
    """
    known = np.isfinite(s02)
    return np.column_stack([known, np.where(known, s02 - S02_CENTER, 0) / S02_UNIT, there]).astype(np.float32)


def read(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What the networks read: spectra, (n, m) as models have them, with what is told beside them, (n, TOLD).

    Where s02 is told, they are as high as with `S02_CENTER`, and that it is so is all that is left of it: heights then
    say how many neighbours there are. Logarithms of these, by k weight and part of R, stand at the end.
    """
    known, value, there = np.split(told, [1, 2], axis=1)
    spectrum, rest = np.split(x, [-len(ELEMENTS) - 1], axis=1)  # absorber and kmax
    height = S02_CENTER / (S02_CENTER + S02_UNIT * value)  # 1 where nobody tells
    spectrum = spectrum * height
    channels = range(0, 3 * len(COMPLEX_KWEIGHTS), 3) if x.shape[1] == COMPLEX_SIZE else (0,)
    magnitudes = np.stack([spectrum[:, i * len(R_POOLED) : (i + 1) * len(R_POOLED)] for i in channels], 1)
    heights = np.sqrt(magnitudes**2 @ _MEANS).reshape(len(x), -1)
    logarithms = np.log(heights + LOWEST)
    return np.hstack([spectrum, rest, known, 0 * value, there, logarithms]).astype(np.float32)


def mixture(says: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Probability that there is more than one coordination number, (n,); `odds` are a user's, where training had 1."""
    one = says[:, len(GRID) + ONE]
    several = (1 - one) * odds
    return np.asarray(several / (one + several))


def kinds(says: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Index into `KINDS`: one site, unless something else is more probable than that."""
    return np.where(mixture(says, odds) < 0.5, ONE, says[:, len(GRID) + 1 :].argmax(1) + 1)


def middle(density: np.ndarray) -> float:
    """The median: of all numbers the one with the smallest mean error."""
    return float(np.interp(0.5, np.append(0, density.cumsum()), _EDGES))


def shortest(density: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """The shortest interval that holds this much of a distribution over `GRID`; of several levels one each, (n, 2)."""
    cumulative = np.append(0, density.cumsum())
    held = cumulative + np.asarray(level)[..., None]
    ends = np.interp(held, cumulative, _EDGES)  # the last edge where so much is not there: then the whole of it
    best = np.where(held <= cumulative[-1], ends - _EDGES, np.inf).argmin(-1, keepdims=True)
    return np.concatenate([_EDGES[best], np.take_along_axis(ends, best, -1)], -1)
