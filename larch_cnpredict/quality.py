"""What mu(E) of a group shows of itself: what may be wrong with it, and what chi(k) does not know of."""

from typing import Any

import numpy as np
from larch.xafs.xafsutils import KTOE
from scipy.ndimage import median_filter

from .absorber import E0_TOLERANCE, as_number, edge_energy, energy_and, k_edge

FALLS = (
    "mu falls at the edge, and chi has the wrong sign: is it ln(i1/i0), a transmission, or fluorescence labelled i1, "
    "or did i0 and i1 change places?"
)
GLITCH = "mu(E) has a point at {:.1f} eV that stands out by {:.2g} of the edge step: deglitch it, and run autobk again"
STEP = (
    "mu(E) steps by {:.2g} of the edge step at {:.1f} eV: if that is another edge, or the monochromator, "
    "give autobk and xftf a kmax below it"
)
GAP = "mu(E) has no points from {:.0f} to {:.0f} eV, where autobk fills chi(k) in"
# A peak this high over the dip behind it, of the edge step, is of transitions to 3d that a centre of inversion forbids:
# Ti with four or five neighbours has 0.4 to 1, with six mostly less than 0.2 and no such dip (Farges, Brown and Rehr,
# Phys. Rev. B 56 (1997) 1809); V, Cr and Mn in their high oxidation states are like it (Yamamoto, X-Ray Spectrom. 37
# (2008) 572). Later metals have no such peak to speak of.
FORBIDDEN, WITH_PEAK = 0.15, ("Ti", "V", "Cr", "Mn")
ABOVE_NOISE = 10.0  # times: highest and lowest of some hundred points of noise are six standard deviations apart
PEAK_AWAY, PEAK_REACH = 15.0, 12.0  # eV: of the tabulated edge; on either side of it, where dips are looked for
# A point stands out where it is so far from the cubic through its four neighbours, of the edge step, and so many times
# as far as points around it mostly are. Of 46 measured spectra all but three have at most 0.011 and 4.2 times; these
# three have one glitch each, of 0.014 to 0.033, 20 to 27 times. Where points lie far apart, oscillations of EXAFS that
# are this high leave the cubic by more, and no point can be told from them.
STANDS_OUT, UNLIKE_OTHERS, AROUND = 0.01, 10.0, 25  # of the edge step; times; points on either side
HIGHEST, FARTHEST = 0.3, 5.0  # of the edge step; Å
LIKE_A_STEP = 0.85  # of the farthest point what the next one is off to the other side: 1 at a step, 2/3 at a glitch
WIDEST = 0.3  # Å^-1 between two points of mu(E); of these spectra up to 0.12


def falls(group: Any) -> bool:
    """Whether mu(E) falls at the edge. Larch takes any edge step for one up, and chi then has the wrong sign."""
    measured, e0 = energy_and(group, "norm"), as_number(getattr(group, "e0", None))
    if measured is None or e0 is None:
        return False
    energy, norm = measured
    above = norm[energy > e0 + E0_TOLERANCE]
    return bool(len(above) and above.mean() < -0.5)  # about -1; a wrong e0 can make it a little less than 0


def pre_edge_peak(group: Any, element: str) -> tuple[float, float] | None:
    """Of a peak that six equal neighbours do not have: energy (eV), height over the dip behind it (of the step)."""
    if element not in WITH_PEAK or (measured := energy_and(group, "norm")) is None:
        return None
    with np.errstate(all="ignore"):
        near = np.abs(measured[0] - k_edge(element)) < PEAK_AWAY + PEAK_REACH
        energy, norm = (values[near].astype(float) for values in measured)
        high = max(FORBIDDEN, ABOVE_NOISE * point_noise(norm) if len(norm) > 3 else 0.0)
        tops = np.flatnonzero((norm[1:-1] >= norm[:-2]) & (norm[1:-1] > norm[2:]) & (norm[1:-1] > FORBIDDEN)) + 1
        for i in tops[np.abs(energy[tops] - k_edge(element)) < PEAK_AWAY]:
            sides = (energy < energy[i], energy > energy[i])
            before, behind = (
                norm[side & (np.abs(energy - energy[i]) < PEAK_REACH)].min(initial=np.inf) for side in sides
            )
            lone = max(norm[i - 1], norm[i + 1]) < (norm[i] + behind) / 2  # a glitch
            if not lone and max(before, behind) < min(norm[i], 1) / 2 and norm[i] - behind > high:
                return float(energy[i]), float(norm[i] - behind)
    return None


def point_noise(mu: np.ndarray) -> float:
    """Noise from point to point, of one spectrum or of all (n, m): third differences of what is smooth are small."""
    return float(np.median(np.abs(np.diff(mu, 3)))) / 0.6745 / 20**0.5


def remarks(group: Any, kmin: float, kmax: float) -> list[str]:
    """Sentences on what stands out of mu(E) or is missing in it, in the range of k that is read (Å^-1).

    It is mu itself that is looked at: norm is as pre_edge left it, before a point was mended.
    """
    measured, e0 = energy_and(group, "mu"), edge_energy(group)
    step = as_number(getattr(group, "edge_step", None))
    if measured is None or e0 is None or not step:
        return []
    with np.errstate(all="ignore"):
        energy, at = np.unique(measured[0].astype(float), return_index=True)
        mu = measured[1].astype(float)[at] / step
        beyond = (energy > e0) & np.isfinite(mu)
        energy, mu = energy[beyond], mu[beyond]
        k = np.sqrt((energy - e0) / KTOE)
        apart = np.diff(k) * ((k[1:] > kmin) & (k[:-1] < kmax))
        read = (k > kmin) & (k < kmax)
    if read.sum() < 2 * AROUND:
        return []
    j, out = int(apart.argmax()), []
    if apart[j] > WIDEST:
        out = [GAP.format(energy[j], energy[j + 1])]
    energy = energy[read]
    off, may_be = _off_neighbours(energy, mu[read], k[read])
    away = np.abs(off)
    usual = np.maximum(*(median_filter(away, AROUND, origin=side) for side in (AROUND // 2, -(AROUND // 2))))
    stands_out = (away > STANDS_OUT) & (away > may_be) & (away > UNLIKE_OTHERS * usual)
    if not stands_out.any():
        return out
    i = int(np.where(stands_out, away, 0).argmax())  # one is said: a glitch makes its neighbours stand out, too
    beside = max((i - 1, i + 1), key=lambda n: away[n] if 0 <= n < len(away) else 0)
    if off[beside] * off[i] < 0 and away[beside] > LIKE_A_STEP * away[i]:
        return [STEP.format(2 * away[i], energy[i + 2]), *out]
    return [GLITCH.format(energy[i + 2], away[i]), *out]


def _off_neighbours(energy: np.ndarray, mu: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each point but two at either end is from the cubic through two neighbours on either side, and how far an
    oscillation of chi(k) may be. Of points that lie unevenly, both are as much smaller as noise counts for more."""
    others = [slice(0, -4), slice(1, -3), slice(3, -1), slice(4, None)]
    off, squares = mu[2:-2].copy(), 1.0
    for one in others:
        apart = [(energy[2:-2] - energy[other], energy[one] - energy[other]) for other in others if other != one]
        weight = np.prod([to_it / between for to_it, between in apart], axis=0)
        off -= weight * mu[one]
        squares = squares + weight**2
    # what a cubic leaves of sin(2kR) is at most its fourth derivative over 4!, times the distances of the four points
    of_sine = np.prod([2 * FARTHEST * (k[2:-2] - k[other]) for other in others], axis=0) / 24
    even = np.sqrt((1 + 2 * (4 / 6) ** 2 + 2 * (1 / 6) ** 2) / squares)
    return off * even, HIGHEST * of_sine * even
