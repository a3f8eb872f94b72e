"""The scattering paths of FEFF8L's feff.pad: chi(k) of any sigma2, third cumulant or neighbours left out, without FEFF.

chi(k) of a path is N A(k) sin(2 k reff + phase(k)), damped by exp(-2 p² sigma2 - 4/3 i p³ third) with FEFF's complex
momentum p. A carries everything else. FEFF lists one path of those that symmetry makes equal, N is their number.
"""

import io
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import constants

from larch_cnpredict.features import K_GRID

BOHR = 0.529177249  # Å, as FEFF has it
WEAKEST = 4.0  # % of the strongest path: what is below, ff2x leaves out
WEIGHTS = {22: 47.90, 28: 58.71}  # FEFF's atomic weights where today's would change |chi(R)| by 1e-3
SAME = 5e-4  # Å: distances in equal paths; with 2e-3, paths that FEFF tells apart in minerals are one
_DEBYE = 1.5e20 * constants.hbar**2 / (constants.k * constants.atomic_mass)  # Å² K amu
_HALF = {"amplitude": np.float16, "phase": np.float16}
_EACH = ("legs", "degeneracy", "reff", "positions", "potentials", "amplitude", "phase")  # what each path has


@dataclass(frozen=True)
class Paths:
    """n paths at e points of k, of up to L legs. The absorber is atom 0, at the origin, and of potential 0.

    Shorter paths end with legs of no length at the absorber, which change nothing.
    """

    k: np.ndarray  # (e,) Å^-1
    momentum: np.ndarray  # (e,) Å^-1, complex
    norman: float  # mean Norman radius, Å
    numbers: np.ndarray  # Z of each potential
    atoms: np.ndarray  # (a, 3) of the cluster, Å
    atom_potentials: np.ndarray  # (a,)
    legs: np.ndarray  # (n,)
    degeneracy: np.ndarray  # (n,)
    reff: np.ndarray  # (n,) Å
    positions: np.ndarray  # (n, L, 3) Å, where each leg ends
    potentials: np.ndarray  # (n, L)
    amplitude: np.ndarray  # (n, e)
    phase: np.ndarray  # (n, e)

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Of each path all that are equal to it, up to their direction: rows of numbers of atoms, in order."""
        apart = np.linalg.norm(self.atoms[:, None] - self.atoms, axis=2)
        out = []
        for legs, positions, potentials in zip(self.legs, self.positions, self.potentials, strict=True):
            ends = np.vstack([np.zeros(3), positions[: legs - 1]])
            wanted = np.linalg.norm(ends[:, None] - ends, axis=2)
            rows = np.zeros((1, 1), int)
            for step in range(1, legs):
                fits = (np.abs(apart[rows] - wanted[step, :step, None]) < SAME).all(axis=1)
                row, atom = np.nonzero(fits & (self.atom_potentials == potentials[step - 1]))
                rows = np.column_stack([rows[row], atom])
            out.append(rows[:, 1:])
        return out


def read(folder: Path) -> Paths:
    """The paths that ff2x would sum, from the folder of a FEFF run; ValueError where feff.pad cannot be read."""
    lines = (folder / "feff.pad").read_bytes().split(b"\n")
    geometry = json.loads((folder / "geom.json").read_text())
    try:
        npot, ne, width = (int(word) for word in lines[1][2:].split())
        norman, numbers = float(lines[2].split()[4]), np.array(lines[3].split()[-npot - 1 :], int)
        heads = [line[2:].split() for line in lines if line.startswith(b"##")]  # number, legs, degeneracy, reff, ...
        legs = np.array([head[1] for head in heads], int)
        degeneracy, reff, importance = np.array([head[2:5] for head in heads], float).T
        values = _unpack(b"".join(line[1:].strip() for line in lines if line[:1] in (b"!", b"$")), width)
        # phase shift and momentum (complex), k; of each path, leg by leg, x, y, z, two angles, length; its two curves
        common, *blocks = np.split(values, np.cumsum([5 * ne, *(6 * legs + 2 * ne)]))
        curves = np.array([block[-2 * ne :].reshape(2, ne) for block in blocks[:-1]])
    except (IndexError, ValueError):
        raise ValueError("feff.pad is unreadable") from None
    momentum, k = common[2 * ne : 4 * ne].view(complex), common[4 * ne :]
    end = np.flatnonzero(np.diff(k, append=-np.inf) <= 0)[0] + 1  # points off the real axis follow
    positions, potentials = np.zeros((len(legs), legs.max(), 3)), np.zeros((len(legs), legs.max()), int)
    for i, n in enumerate(legs):
        positions[i, :n] = blocks[i][: 3 * n].reshape(n, 3) * BOHR
        potentials[i, :n] = np.array(heads[i][5:], int)
    kept = importance >= WEAKEST
    return Paths(
        k[:end] / BOHR, momentum[:end] / BOHR, norman * BOHR, numbers,
        np.transpose([geometry[axis] for axis in "xyz"]), np.array(geometry["iph"]),
        legs[kept], degeneracy[kept], reff[kept], positions[kept], potentials[kept],
        curves[kept, 0, :end], np.unwrap(curves[kept, 1, :end]),
    )  # fmt: skip


def _unpack(text: bytes, width: int) -> np.ndarray:
    """Numbers of packed text: a character for the decimal exponent, then digits of base 90, the first with the sign."""
    digits = np.frombuffer(text, np.uint8).reshape(-1, width).astype(np.int64) - 37
    exponent, sign = digits[:, 0] - 45, digits[:, 1] % 2 * 2 - 1
    digits[:, 1] //= 2
    return 2 * sign * 10.0**exponent * (digits[:, 1:] @ 90.0 ** -np.arange(1, width))


def chi(paths: Paths, sigma2: np.ndarray | float = 0.0, third: np.ndarray | float = 0.0) -> np.ndarray:
    """Their sum on `K_GRID`, as ff2x makes it: one chi(k) for each set of sigma2.

    Parameters
    ----------
    sigma2, third
        Å², Å³: of all paths alike, of each path (n,), or sets of them (..., n)
    """
    sets = np.broadcast_arrays(np.asarray(sigma2)[..., None], np.asarray(third)[..., None])
    damping = -2 * sets[0] * paths.momentum**2 - 4j / 3 * sets[1] * paths.momentum**3
    amplitude = paths.degeneracy[:, None] * paths.amplitude * np.exp(damping.real)
    phase = paths.phase + damping.imag
    k = np.maximum(K_GRID, K_GRID[np.searchsorted(K_GRID, paths.k[0] - 1e-6)])  # FEFF has none before; a table does
    low = np.clip(np.searchsorted(paths.k, k) - 1, 0, len(paths.k) - 2)
    share = (k - paths.k[low]) / (paths.k[low + 1] - paths.k[low])
    amplitude, phase = ((1 - share) * y[..., low] + share * y[..., low + 1] for y in (amplitude, phase))
    out: np.ndarray = (amplitude * np.sin(2 * k * paths.reff[:, None] + phase)).sum(axis=-2)
    out[..., 0] = 0.0
    return out


def debye(paths: Paths, temperature: float, thetas: Collection[float]) -> np.ndarray:
    """sigma2 of each path (thetas, n), Å², by the correlated Debye model (Sevillano et al., Phys. Rev. B 20, 4908).

    Half the path's length changes by half the sum of g·u over its atoms, where u displaces the atom and g is the
    difference of the unit vectors of its two legs. <u u'> falls with the distance of two atoms.
    """
    steps = paths.positions - np.roll(paths.positions, 1, axis=1)
    length = np.linalg.norm(steps, axis=2, keepdims=True)
    along = np.divide(steps, length, out=np.zeros_like(steps), where=length > 1e-6)
    g = along - np.roll(along, -1, axis=1)
    apart = np.linalg.norm(paths.positions[:, :, None] - paths.positions[:, None], axis=3)
    masses = np.array([*map(_mass, paths.numbers.tolist())])[paths.potentials]
    factor = np.einsum("nix,njx->nij", g, g) / np.sqrt(masses[:, :, None] * masses[:, None]) / 4

    w, weight = np.polynomial.legendre.leggauss(32)
    w, weight = (w + 1) / 2, weight / 2
    kd = (4.5 * np.pi) ** (1 / 3) / paths.norman
    waves = w * np.sinc(kd * apart[..., None] * w / np.pi)  # sin(w x) / x
    theta = np.asarray(thetas, float)[:, None]
    occupied = weight / np.tanh(w * theta / (2 * temperature)) * _DEBYE / theta
    return np.einsum("nij,nijw,tw->tn", factor, waves, occupied, optimize=True)


@cache
def _mass(z: int) -> float:
    from xraydb import atomic_mass  # comes with Larch, and takes half a second, which labels need not

    return WEIGHTS.get(z) or atomic_mass(z)


def without(paths: Paths, gone: np.ndarray) -> Paths:
    """What is left where the atoms that `gone` (a,) marks are not there: no path goes through them.

    Potentials and phases stay those of the whole cluster, and so does the absorber.
    """
    gone = gone & (np.arange(len(gone)) > 0)
    left = np.array([1 - gone[atoms].any(axis=1).mean() for atoms in paths.members])
    changed = replace(paths, degeneracy=paths.degeneracy * left)
    each = {name: getattr(changed, name)[left > 0] for name in _EACH}
    return replace(changed, atoms=paths.atoms[~gone], atom_potentials=paths.atom_potentials[~gone], **each)


def within(paths: Paths, radius: float) -> Paths:
    """What is left in a sphere about the absorber, Å."""
    return without(paths, np.linalg.norm(paths.atoms, axis=1) > radius)


def dump(paths: Paths) -> bytes:
    """For a column of a table: amplitudes and phases in half, all else in single precision."""
    parts = {one.name: np.asarray(getattr(paths, one.name)) for one in fields(paths)}
    parts["phase"] = (paths.phase + np.pi) % (2 * np.pi) - np.pi  # near zero half precision is finest
    kinds = {"f": np.float32, "c": np.complex64, "i": np.int16}
    stored: Any = {name: part.astype(_HALF.get(name, kinds[part.dtype.kind])) for name, part in parts.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stored)
    return buffer.getvalue()


def undump(text: bytes) -> Paths:
    parts = dict(np.load(io.BytesIO(text)))
    parts |= {name: parts[name].astype(float) for name in _HALF}
    return Paths(**parts | {"phase": np.unwrap(parts["phase"])})


def kept(folder: Path) -> list[Path]:
    """Files in which a stage has kept paths in this folder."""
    return [file for file in sorted(folder.glob("*.parquet")) if "paths" in pq.read_schema(file).names]


def load(files: Iterable[Path]) -> Iterator[tuple[tuple[str, int], Paths]]:
    """((material_id, site_index), paths) of each site whose paths these files hold, in the order of these keys.

    Names of files are drawn by lot: what is made of paths is not to depend on them.
    """
    stored = pa.concat_tables([pq.read_table(file, columns=["material_id", "site_index", "paths"]) for file in files])
    for batch in stored.sort_by([("material_id", "ascending"), ("site_index", "ascending")]).to_batches(64):
        for row in batch.to_pylist():
            if row["paths"] is not None:
                yield (row["material_id"], row["site_index"]), undump(row["paths"])
