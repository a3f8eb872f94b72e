"""What the models read of a spectrum. Training and predicting both come through here, so that they cannot differ."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft, sparse

ELEMENTS = ("Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn")
EDGE = "K"

# The training transform: Larch's xftf with these arguments, and a kmax that the models are told.
TRANSFORM: dict[str, Any] = {"kmin": 3.0, "kweight": 2, "dk": 1.0, "window": "hanning"}
KMAX_RANGE = (8.5, 14.0)
KMAX_DEFAULT = 12.0

KSTEP = 0.05
K_GRID = KSTEP * np.arange(361)  # Å^-1, 0 to 18: the grid of the training table
NFFT = 2048
LARCH_R_STEP = np.pi / (KSTEP * NFFT)  # Å, of xftf's chi(R)

R_STEP, R_MAX = 0.003, 6.0  # Å, the paper's grid
R_GRID = R_STEP * np.arange(round(R_MAX / R_STEP) + 1)
# Larch's own chi(R) has a point each 0.031 Å, so ten points of 0.003 Å carry the same number: models read their mean.
POOL = 10
R_MIN = 1.0  # Å; below, |chi(R)| is background residue rather than neighbours
COMPLEX_KWEIGHTS = (1, 2, 3)
COMPLEX_SCALE_K = 8.0  # Å^-1: chi(R) of other k weights is brought to the scale it has here, so that none dominates
KMAX_CENTER, KMAX_UNIT = 12.0, 2.0  # Å^-1: models are told (kmax - center) / unit


def fingerprint() -> str:
    """Hash of all that the inputs of the models depend on: models made for other inputs must not be run."""
    specification = {
        "elements": ELEMENTS,
        "transform": TRANSFORM,
        "kmax": [*KMAX_RANGE, KMAX_CENTER, KMAX_UNIT],
        "k": [KSTEP, len(K_GRID), NFFT],
        "r": [R_STEP, R_MIN, R_MAX, POOL],
        "complex": [*COMPLEX_KWEIGHTS, COMPLEX_SCALE_K],
    }
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()[:16]


def transform(k: np.ndarray, chi: np.ndarray, kmax: float) -> tuple[np.ndarray, np.ndarray]:
    """r (0 to 10 Å) and |chi(R)| (Å^-3) of chi(k) as the training set has them: Larch's `xftf` with `TRANSFORM`."""
    from larch import Group  # here, for it takes seconds, which each process that runs FEFF would pay
    from larch.xafs import xftf

    out = Group()
    xftf(k, chi, group=out, kmax=kmax, **TRANSFORM)
    return out.r, out.chir_mag


@lru_cache(maxsize=256)
def _whole_window(kmax: float) -> np.ndarray:
    from larch.xafs import ftwindow

    k = KSTEP * np.arange(len(K_GRID) + round(2 * TRANSFORM["dk"] / KSTEP))
    taper = ftwindow(k, xmin=TRANSFORM["kmin"], xmax=kmax, dx=TRANSFORM["dk"], window=TRANSFORM["window"])
    return np.asarray(taper[: len(K_GRID)], dtype=np.float32)


def windows(kmax: np.ndarray, kend: np.ndarray) -> np.ndarray:
    """Larch's windows on `K_GRID`, (n, 361): they stop at `kend`, where the data do, however far the taper would go."""
    whole: np.ndarray = np.array([_whole_window(round(float(limit), 2)) for limit in kmax])
    return whole * (np.asarray(kend)[:, None] + KSTEP / 4 > K_GRID)


@lru_cache(maxsize=2)
def larch_r(r_max: float = R_MAX) -> np.ndarray:
    """Larch's points of chi(R), up to r_max, Å."""
    return LARCH_R_STEP * np.arange(int(1.01 + (r_max + 2 * LARCH_R_STEP) / LARCH_R_STEP))


def chir(chi: np.ndarray, taper: np.ndarray, kweight: int, r_max: float = R_MAX) -> np.ndarray:
    """chi(R) of n chi(k) on `K_GRID` with tapers from `windows`, both (n, 361): complex, on `larch_r(r_max)`."""
    weighted = (chi * taper * K_GRID**kweight).astype(np.float32)
    return np.asarray(fft.rfft(weighted, NFFT)[:, : len(larch_r(r_max))] * np.float32(KSTEP / np.sqrt(np.pi)))


def _means(fine: np.ndarray) -> np.ndarray:
    """|chi(R)| on `R_GRID` to the means of ten points, from R_MIN on: (2001,) to (167,)."""
    return np.asarray(fine[: len(R_GRID) // POOL * POOL].reshape(-1, POOL).mean(1)[round(R_MIN / R_STEP) // POOL :])


R_POOLED = _means(R_GRID)
COMPLEX_SIZE = 3 * len(COMPLEX_KWEIGHTS) * len(R_POOLED) + len(ELEMENTS) + 1


def pooled(r: np.ndarray, values: np.ndarray) -> np.ndarray:
    """|chi(R)| on Larch's uniform `r` to `R_POOLED`: onto the 0.003 Å grid, then means, in one sparse matrix."""
    matrix = _pooling(len(r), float(r[1]))
    return np.asarray((matrix @ np.atleast_2d(values)[:, : matrix.shape[1]].T).T)


@lru_cache(maxsize=8)
def _pooling(n: int, rstep: float) -> sparse.csr_array:
    n = min(n, int(R_MAX / rstep) + 2)
    r = rstep * np.arange(n)
    return sparse.csr_array(np.array([_means(np.interp(R_GRID, r, row)) for row in np.eye(n)], dtype=np.float32).T)


def one_hot(elements: Sequence[str]) -> np.ndarray:
    """One column for each absorber, (n, 10)."""
    return np.array([[element == known for known in ELEMENTS] for element in elements], dtype=np.float32)


def absorber_columns(elements: Sequence[str], kmax: np.ndarray) -> np.ndarray:
    """One column for each absorber, one for the upper limit of the transform."""
    return np.hstack([one_hot(elements), ((np.asarray(kmax)[:, None] - KMAX_CENTER) / KMAX_UNIT).astype(np.float32)])


def magnitude_features(r: np.ndarray, chir_mag: np.ndarray, elements: Sequence[str], kmax: np.ndarray) -> np.ndarray:
    """Inputs of the families that need no chi(k): |chi(R)|, (n, m), from 1 to 6 Å, absorber, kmax."""
    return np.hstack([pooled(r, chir_mag).astype(np.float32), absorber_columns(elements, kmax)])


def complex_features(chi: np.ndarray, elements: Sequence[str], kmax: np.ndarray, kend: np.ndarray) -> np.ndarray:
    """Inputs of the networks that know phases, from chi(k) on `K_GRID`, (n, 361), zero beyond `kend`, the last k."""
    taper, r = windows(kmax, kend), larch_r()
    parts = []
    for kweight in COMPLEX_KWEIGHTS:
        values = pooled(r, chir(chi, taper, kweight)) * COMPLEX_SCALE_K ** (2 - kweight)
        parts += [np.abs(values), values.real, values.imag]
    return np.hstack([*parts, absorber_columns(elements, kmax)]).astype(np.float32)


def from_chi(reads: str, chi: np.ndarray, elements: Sequence[str], kmax: np.ndarray, kend: np.ndarray) -> np.ndarray:
    """The inputs of a model from chi(k) on `K_GRID`; `reads` is 'magnitude' or 'complex'."""
    if reads == "complex":
        return complex_features(chi, elements, kmax, kend)
    return magnitude_features(larch_r(), np.abs(chir(chi, windows(kmax, kend), 2)), elements, kmax)


def absorber_of(x: np.ndarray) -> np.ndarray:
    """Index into `ELEMENTS`, read back from the inputs of a model."""
    return np.asarray(x[:, -len(ELEMENTS) - 1 : -1].argmax(1))


def on_k_grid(k: np.ndarray, chi: np.ndarray) -> np.ndarray:
    """chi(k) on `K_GRID`, zero beyond the data."""
    return np.asarray(np.interp(K_GRID, k, chi, right=0.0))
