"""Spectra that are no EXAFS, or EXAFS with a mistake in it, so that `larch_cnpredict.domain` learns what to warn of."""

import numpy as np

from build_models.spectra import background
from build_models.spectra.augment import Augmentation, augment
from build_models.spectra.dataset import Dataset
from larch_cnpredict import features
from larch_cnpredict.features import K_GRID

KINDS = ("waves", "bumps in k", "bumps in R", "noise", "wrong sign", "wrong sign", "wrong scale", "wrong scale")
WRONG_SCALE = (2.0, 4.0)  # not normalised, or divided by a wrong edge step


def counterexamples(data: Dataset, n: int, rng: np.random.Generator, how: Augmentation) -> tuple[np.ndarray, ...]:
    """n spectra: chi on `K_GRID`, absorbers, kmax, kend; and what is wrong with each, of `KINDS`.

    Half of them, of four kinds, have nothing of EXAFS but the height of a first shell; the others are EXAFS with the
    wrong sign or the wrong scale. A wrong e0 is none of them: the models read spectra with e0 on a pre-edge peak.
    """
    kind = rng.permutation(n) % len(KINDS)
    rows = rng.integers(0, len(data), n)
    chi, kmax, kend = augment(data, rows, rng, how)
    elements, height = data.elements[rows], _height(chi, kmax, kend)
    for i, made in enumerate((_waves, _bumps_in_k, _bumps_in_r, _coloured_noise)):
        if not len(mine := np.flatnonzero(kind == i)):  # of fewer than eight there are not all kinds
            continue
        chi[mine] = made(len(mine), rng)
        autobk = mine[rng.random(len(mine)) < how.autobk / 2]
        chi[autobk] = background.remove(chi[autobk], kend[autobk], rng)
        now = _height(chi[mine], kmax[mine], kend[mine])
        chi[mine] *= (height[mine] / np.maximum(now, 1e-9))[:, None]
    wrong = np.array(KINDS)[kind]
    scale = wrong == "wrong scale"
    chi[wrong == "wrong sign"] *= -1
    chi[scale] *= rng.uniform(*WRONG_SCALE, (scale.sum(), 1))
    return chi, elements, kmax, kend, wrong


def _height(chi, kmax, kend):
    """The highest peak of the first shell."""
    r = features.larch_r()
    magnitude = np.abs(features.chir(chi, features.windows(kmax, kend), 2))
    return magnitude[:, (r > 1.0) & (r < 3.3)].max(1)


def _sum(n, rng, most, term):
    """One to `most` terms for each of n spectra."""
    count = rng.integers(1, most + 1, (n, 1))
    return sum(np.where(i < count, term(), 0) for i in range(most))


def _falling(n, rng):
    """Down with k, as 1, 1/k or 1/k^2."""
    return np.maximum(K_GRID, 1) ** -rng.choice([0, 1, 2], (n, 1))


def _waves(n, rng):
    """One to five damped sinusoids."""

    def wave():
        r, phase, amplitude = (rng.uniform(*ends, (n, 1)) for ends in ((0.5, 8), (0, 2 * np.pi), (0.2, 1)))
        sigma2 = 10 ** rng.uniform(-3, -1.7, (n, 1))
        return amplitude * np.exp(-2 * sigma2 * K_GRID**2) * np.sin(2 * K_GRID * r + phase) * _falling(n, rng)

    return _sum(n, rng, 5, wave)


def _bumps_in_k(n, rng):
    def bump():
        width, place = 10 ** rng.uniform(-0.9, 0.4, (n, 1)), rng.uniform(0, 16, (n, 1))
        return rng.normal(size=(n, 1)) * np.exp(-(((K_GRID - place) / width) ** 2) / 2)

    return _sum(n, rng, 24, bump) * _falling(n, rng)


def _bumps_in_r(n, rng):
    """Peaks of k^2 chi(R) of any width, each from a packet about some k."""
    r = features.larch_r(16.0)

    def bump():
        width, place, k = 10 ** rng.uniform(-1.2, -0.1, (n, 1)), rng.uniform(0.5, 6, (n, 1)), rng.uniform(4, 9, (n, 1))
        size = rng.uniform(0.2, 1, (n, 1)) * np.exp(2j * np.pi * rng.random((n, 1)))
        return size * np.exp(-(((r - place) / width) ** 2) / 2 - 2j * k * r)

    return np.fft.irfft(_sum(n, rng, 5, bump), features.NFFT)[:, : len(K_GRID)] / np.maximum(K_GRID, 1) ** 2


def _coloured_noise(n, rng):
    """Pink, brown and between."""
    frequency = np.maximum(np.fft.rfftfreq(1024), 1 / 1024)
    noise = np.fft.rfft(rng.normal(size=(n, 1024))) * frequency ** -rng.uniform(0.3, 1.2, (n, 1))
    noise[:, 0] = 0
    return np.fft.irfft(noise)[:, : len(K_GRID)]
