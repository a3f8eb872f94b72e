"""What autobk's spline takes out of chi(k), as a linear operator: fast enough for every training spectrum.

Larch's autobk (Newville et al., Phys. Rev. B 47 (1993) 14126) chooses the values of a cubic spline in k so that
k^kweight chi(k) has the least signal in R below rbkg. The signal is linear in these values, so the spline is a matrix
times chi(k): whatever part of a short bond's peak lies below rbkg is lost in training as it is at the beamline.
"""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from scipy.interpolate import BSpline

from larch_cnpredict.features import K_GRID, KSTEP, chir, larch_r

# The choices of rbkg (Å) as people make them, 1 most often, less where bonds are short; kweight is Larch's default and
# what most people set.
RBKG = (0.5, 0.7, 0.8, 1.0, 1.0, 1.0, 1.2, 1.4)
KWEIGHT = (1, 2)
CHOICES = tuple(product(RBKG, KWEIGHT))
CLAMP = 0.1  # the weight that autobk's clamp gives the last three points of data without much signal below rbkg


@cache  # data end at some point of `K_GRID`: 2,000 operators, 70 MB
def operator(kend: float, rbkg: float, kweight: int) -> tuple[np.ndarray, np.ndarray]:
    """The spline of autobk for data that end at kend: `basis @ (values @ chi)` is what it subtracts.

    basis is (n, n_spline), for the n points of `K_GRID` up to kend; values is (n_spline, n).
    """
    from larch.xafs import ftwindow

    k = K_GRID[kend + KSTEP / 4 > K_GRID]
    n_spline = min(max(1 + int(2 * rbkg * k[-1] / np.pi), 5), 128)
    n_r = int(1 + (n_spline - 1) * np.pi / (2 * larch_r()[1] * k[-1]))
    places = np.linspace(0, k[-1], n_spline)
    knots = np.concatenate([[0.0] * 4, places[2:-2], [k[-1]] * 4])  # of an interpolating spline, not a knot
    basis = BSpline.design_matrix(k, knots, 3).toarray()
    taper = np.zeros(len(K_GRID))
    taper[: len(k)] = ftwindow(k, xmin=0, xmax=k[-1], dx=0.1, dx2=0.1, window="hanning")
    kernel = chir(np.eye(len(k), len(K_GRID)), taper, kweight)[:, :n_r].T  # of each point of chi(k) alone
    clamp = np.eye(len(k))[-3:] * CLAMP
    signal = np.vstack([kernel.real, kernel.imag, clamp])
    values = np.linalg.lstsq(signal @ basis, signal, rcond=None)[0]
    return basis.astype(np.float32), values.astype(np.float32)


def remove(chi: np.ndarray, kend: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """chi(k) as autobk leaves it, for each spectrum with an rbkg and a kweight of `RBKG` and `KWEIGHT`.

    chi is (n, 361), on `K_GRID`; beyond the end of the data, kend (n,), Å^-1, it stays as it is.
    """
    ends = np.round(np.minimum(kend, K_GRID[-1]) / KSTEP).astype(int)
    choice = rng.integers(0, len(CHOICES), len(chi))
    out = chi.copy()
    for (end, which), rows in pd.DataFrame({"end": ends, "which": choice}).groupby(["end", "which"]).indices.items():
        basis, values = operator(end * KSTEP, *CHOICES[which])
        n = len(basis)
        out[rows, :n] -= (chi[rows, :n] @ values.T) @ basis.T
    return out
