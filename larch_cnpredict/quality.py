"""What mu(E) of a group shows of itself: what may be wrong with it, and what chi(k) does not know of."""

from typing import Any

import numpy as np
from larch.xafs.xafsutils import KTOE

from .absorber import E0_TOLERANCE, as_number, edge_energy, energy_and, k_edge

FALLS = (
    "mu falls at the edge, and chi has the wrong sign: is it ln(i1/i0), a transmission, or fluorescence labelled i1, "
    "or did i0 and i1 change places?"
)
GLITCH = "mu(E) has a point at {:.1f} eV that stands out by {:.2g} of the edge step: deglitch it, and run autobk again"
GAP = "mu(E) has no points from {:.0f} to {:.0f} eV, where autobk fills chi(k) in"
# A peak this high over the dip behind it, of the edge step, is of transitions to 3d that a centre of inversion forbids:
# Ti with four or five neighbours has 0.4 to 1, with six mostly less than 0.2 and no such dip (Farges, Brown and Rehr,
# Phys. Rev. B 56 (1997) 1809); V, Cr and Mn in their high oxidation states are like it (Yamamoto, X-Ray Spectrom. 37
# (2008) 572). Later metals have no such peak to speak of.
FORBIDDEN, WITH_PEAK = 0.15, ("Ti", "V", "Cr", "Mn")
PEAK_AWAY, PEAK_REACH = 15.0, 12.0  # eV: of the tabulated edge; on either side of it, where dips are looked for
# A point stands out where it is so far from the cubic through its four neighbours, of the edge step, and so many times
# as far as points around it mostly are. Of 46 measured spectra all but three have at most 0.011 and 4.2 times; these
# three have one glitch each, of 0.014 to 0.033, 20 to 27 times. Where points lie far apart, oscillations of EXAFS that
# are this high leave the cubic by more, and no point can be told from them.
STANDS_OUT, UNLIKE_OTHERS, AROUND = 0.01, 10.0, 25  # of the edge step; times; points on either side
HIGHEST, FARTHEST = 0.3, 5.0  # of the edge step; Å
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
        energy, norm = (values[near] for values in measured)
        tops = np.flatnonzero((norm[1:-1] >= norm[:-2]) & (norm[1:-1] > norm[2:]) & (norm[1:-1] > FORBIDDEN)) + 1
        for i in tops[np.abs(energy[tops] - k_edge(element)) < PEAK_AWAY]:
            sides = (energy < energy[i], energy > energy[i])
            before, behind = (
                norm[side & (np.abs(energy - energy[i]) < PEAK_REACH)].min(initial=np.inf) for side in sides
            )
            lone = max(norm[i - 1], norm[i + 1]) < (norm[i] + behind) / 2  # a glitch
            if not lone and max(before, behind) < min(norm[i], 1) / 2 and norm[i] - behind > FORBIDDEN:
                return float(energy[i]), float(norm[i] - behind)
    return None


def remarks(group: Any, kmin: float, kmax: float) -> list[str]:
    """Sentences on what stands out of mu(E) or is missing in it, in the range of k that is read (Å^-1)."""
    measured, e0 = energy_and(group, "norm"), edge_energy(group)
    if measured is None or e0 is None:
        return []
    with np.errstate(all="ignore"):
        energy, norm = (values.astype(float) for values in measured)
        read = (energy > e0 + KTOE * kmin**2) & (energy < e0 + KTOE * kmax**2) & np.isfinite(norm)
        energy, norm = energy[read], norm[read]
        if len(energy) < 2 * AROUND or not (np.diff(energy) > 0).all():
            return []
        k = np.sqrt((energy - e0) / KTOE)
        away, may_be = _off_neighbours(energy, norm, k)
        j = int(np.diff(k).argmax())
    out = [GAP.format(energy[j], energy[j + 1])] if k[j + 1] - k[j] > WIDEST else []
    for i in away.argsort()[::-1]:  # one is said: a glitch makes its neighbours stand out, too
        if away[i] < STANDS_OUT:
            break
        usual = np.median(away[max(0, i - AROUND) : i + AROUND + 1])
        if away[i] > max(may_be[i], UNLIKE_OTHERS * usual):
            return [GLITCH.format(energy[i + 2], away[i]), *out]
    return out


def _off_neighbours(energy: np.ndarray, norm: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each point but two at either end is from the cubic through two neighbours on either side, and how far an
    oscillation of chi(k) may be."""
    others = [slice(0, -4), slice(1, -3), slice(3, -1), slice(4, None)]
    off = norm[2:-2].copy()
    for one in others:
        apart = [(energy[2:-2] - energy[other], energy[one] - energy[other]) for other in others if other != one]
        off -= norm[one] * np.prod([to_it / between for to_it, between in apart], axis=0)
    # what a cubic leaves of sin(2kR) is at most its fourth derivative over 4!, times the distances of the four points
    of_sine = np.prod([2 * FARTHEST * (k[2:-2] - k[other]) for other in others], axis=0) / 24
    return np.abs(off), HIGHEST * of_sine
