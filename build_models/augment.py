"""From FEFF's ideal chi(k) to what a beamline measures: all of it on chi(k), before the transform."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from larch_cnpredict.features import K_GRID, KMAX_DEFAULT, KMAX_RANGE

HBAR2_OVER_2M = 3.81  # eV Å^2
# Tetrahedral Cr(VI) or Ti(IV): the steepest rise can be the pre-edge peak, 10 to 15 eV below the edge.
PRE_EDGE_SHARE, PRE_EDGE_DEPTH = 0.2, 15.0


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what differs between FEFF's chi(k) and a measured one; zero switches a piece off."""

    thermal: bool = True  # beyond the first shell: between FEFF's Debye variants, path by path
    shell_sigma2: tuple[float, float] = (0.005, 0.5)  # Å^2: median and logarithmic spread of the first shell's sigma2
    cold: float = 0.1  # share of spectra from near 0 K, with half or less of all thermal damping
    s02: tuple[float, float] = (0.85, 0.1)  # mean and standard deviation; also thickness and edge-step errors
    e0_shift: float = 4.0  # eV, standard deviation
    stretch: float = 0.01  # relative standard deviation: lattice constants of DFT, thermal expansion
    noise: tuple[float, float] = (2e-4, 6e-3)  # of chi at k = 10 Å^-1, log-uniform
    residue: float = 0.008  # of chi at k = 3 Å^-1: what a spline leaves below rbkg
    mixture: float = 0.15  # share of spectra that average two sites of one absorber
    kmax: tuple[float, float] = KMAX_RANGE


IDEAL = Augmentation(
    thermal=False,
    s02=(1.0, 0.0),
    e0_shift=0.0,
    stretch=0.0,
    noise=(0.0, 0.0),
    residue=0.0,
    mixture=0.0,
    kmax=(KMAX_DEFAULT, KMAX_DEFAULT),
)


def augment(
    variants: np.ndarray, shell_end: np.ndarray, rng: np.random.Generator, how: Augmentation
) -> tuple[np.ndarray, ...]:
    """Make one realistic spectrum from each site.

    Parameters
    ----------
    variants : (n, 6, 361) array: chi(k) at sigma2 = 0, then from the softest to the stiffest Debye temperature
    shell_end : (n,) array, Å: distance of the farthest first neighbour
    rng : numpy Generator
    how : Augmentation

    Returns
    -------
    chi : (n, 361) float32 array on `K_GRID`
    kmax, kend : (n,) arrays, Å^-1: upper limit of the transform, end of the data
    """
    n = len(variants)
    chi = variants[:, 0].astype(np.float32)
    if how.thermal:
        first = first_shell(chi, shell_end)
        rest = _thermal(variants, rng)
        rest -= first_shell(rest, shell_end)
        sigma2 = how.shell_sigma2[0] * np.exp(rng.normal(0, how.shell_sigma2[1], n))
        cold = np.where(rng.random(n) < how.cold, rng.uniform(0, 0.5, n), 1)[:, None].astype(np.float32)
        sigma2, rest = sigma2 * cold[:, 0], rest + (1 - cold) * (chi - first - rest)
        chi = first * np.exp(-2 * sigma2[:, None] * K_GRID**2).astype(np.float32) + rest
    chi = _shift(chi, _e0_shift(n, rng, how.e0_shift), 1 + rng.normal(0, how.stretch, n))
    chi = chi * np.clip(rng.normal(*how.s02, n), 0.5, 1.15)[:, None].astype(np.float32)
    if how.residue:
        chi += _residue(n, rng, how.residue)
    if how.noise[1]:
        chi += _noise(n, rng, how.noise)
    kmax, kend = _limits(n, rng, how.kmax)
    return chi.astype(np.float32), kmax, kend


def first_shell(chi: np.ndarray, shell_end: np.ndarray) -> np.ndarray:
    """The part of chi(k) below the end of the first shell in R.

    The correlated Debye model with one temperature for all pairs damps metal-oxygen bonds far too much: measured sigma2
    of a first shell is 0.002 to 0.010 Å^2 whatever the Debye temperature of the lattice is. So the first shell is taken
    out, to get a sigma2 of its own. Peaks of |chi(R)| lie 0.4 Å below the distance, and are as wide.
    """
    n_fft = 1024
    r = np.pi / (n_fft * K_GRID[1]) * np.arange(n_fft // 2 + 1)
    pass_below = (1 / (1 + np.exp(np.clip((r - shell_end[:, None]) / 0.05, -50, 50)))).astype(np.float32)
    weight = (np.maximum(K_GRID, 0.5) ** 2).astype(np.float32)
    filtered = fft.irfft(fft.rfft(chi * weight, n_fft) * pass_below, n_fft)
    return filtered[:, : len(K_GRID)] / weight


def _thermal(variants, rng):
    # Stiffest first, so that neighbours in this order differ least; the ideal crystal comes before all of them.
    order = [0, *range(variants.shape[1] - 1, 0, -1)]
    place = rng.uniform(0, len(order) - 1, len(variants))
    below = np.minimum(place.astype(int), len(order) - 2)
    share = (place - below)[:, None].astype(np.float32)
    rows, at = np.arange(len(variants)), np.array(order)
    return (1 - share) * variants[rows, at[below]] + share * variants[rows, at[below + 1]]


def _e0_shift(n, rng, sigma):
    """E0 misplaced: mostly by a few eV; sometimes a pre-edge peak was taken for the edge, so that e0 is too low."""
    if not sigma:
        return np.zeros(n)
    return rng.normal(0, sigma, n) + np.where(rng.random(n) < PRE_EDGE_SHARE, rng.uniform(0, PRE_EDGE_DEPTH, n), 0.0)


def _shift(chi, e0_shift, stretch):
    """Read chi(k) where an edge energy off by e0_shift (eV) and distances off by a factor would put it."""
    k2 = K_GRID**2 - e0_shift[:, None] / HBAR2_OVER_2M
    place = np.sqrt(np.maximum(k2, 0)) * stretch[:, None] / K_GRID[1]
    place = np.minimum(place, len(K_GRID) - 1.001)
    low = place.astype(np.int32)
    share = (place - low).astype(np.float32)
    left, right = np.take_along_axis(chi, low, 1), np.take_along_axis(chi, low + 1, 1)
    return left + share * (right - left)


def _residue(n, rng, size):
    """A few slow waves (R below 1 Å), largest at low k, as the background spline leaves them."""
    k = K_GRID.astype(np.float32)
    total = np.zeros((n, len(k)), np.float32)
    for _ in range(2):
        r, phase, reach = (rng.uniform(*limits, (n, 1)).astype(np.float32) for limits in ((0.1, 1), (0, 6.3), (2, 6)))
        height = rng.normal(0, size, (n, 1)).astype(np.float32)
        total += height * np.exp((3 - k) / reach) * np.sin(2 * k * r + phase)
    return total


def _noise(n, rng, limits):
    """Noise that grows with k, as glitches and counting noise do, partly correlated from point to point."""
    level = np.exp(rng.uniform(*np.log(limits), n))[:, None]
    white = rng.standard_normal((n, len(K_GRID)), np.float32)
    smooth = (white + np.roll(white, 1, 1)) / np.sqrt(2)
    colour = rng.uniform(0, 1, (n, 1)).astype(np.float32)
    power = rng.uniform(0, 1.5, (n, 1))
    rise = np.exp(power.astype(np.float32) * np.log(np.maximum(K_GRID, 1) / 10).astype(np.float32))
    return (smooth * colour + white * (1 - colour)) * (rise * level).astype(np.float32)


def _limits(n, rng, limits):
    """Half of the users take all of the default range; the others stop anywhere. Half of the data end at kmax."""
    kmax = np.where(rng.random(n) < 0.5, min(KMAX_DEFAULT, limits[1]), rng.uniform(*limits, n))
    kend = np.where(rng.random(n) < 0.5, kmax, kmax + rng.uniform(0, 3, n))
    return np.round(kmax / 0.05) * 0.05, np.round(kend / 0.05) * 0.05


def mix_sites(
    chi: np.ndarray, labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Average some spectra with another of the same group, labels in the same proportion.

    A compound with several sites of one absorber (Fe3O4), or a sample of two compounds, has a mean coordination number.

    Parameters
    ----------
    chi : (n, 361) array
    labels : (n, n_classes) array of probabilities
    groups : (n,) array; partners come from the same group (absorber and kind of neighbour)
    share : float, the part of the spectra that is mixed
    """
    partner = np.arange(len(chi))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        partner[rows] = rng.permutation(rows)
    weight = np.where(rng.random(len(chi)) < share, rng.uniform(0.1, 0.5, len(chi)), 0.0)[:, None].astype(np.float32)
    return (1 - weight) * chi + weight * chi[partner], (1 - weight) * labels + weight * labels[partner]
