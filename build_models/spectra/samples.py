"""Samples: several sites or phases in one beam, particles, and single sites among them.

A sample begins with one entry of a table, its anchor; what holds the anchor out holds the sample out, for its other
components come from the anchor's own side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pymatgen.core import Composition
from tqdm import tqdm

from build_models.data.particles import BULK
from build_models.spectra.augment import Augmentation, at_the_beamline, in_the_sample, limits, shift, weaken_far_shells
from build_models.spectra.copies import Copies, write_inputs
from build_models.spectra.dataset import CLASSES, CLEAR, Dataset, folds
from larch_cnpredict.features import K_GRID
from larch_cnpredict.samples import GRID, HEADS, ONE, PARTICLE, SEVERAL, STEP

MIXED = 0.55  # share of anchors that others are mixed to
THIRD = 0.3  # of the mixtures, that have a third component
SIMPLE = 0.5  # share of components that are elements or of two elements: most of what is mixed on a sample holder
CHEMICAL_SHIFT = 4.0  # eV: standard deviation of a component's own edge about that of the sample
SMALL = 0.06  # share of single sites that are in particles so small that far shells are weak
SPREAD = 0.7  # standard deviation of the coordination numbers in a sample from which on it is called several
DISORDER = 0.002  # Å^2: mean sigma2 that a particle's surface and strain add to that of its bulk
SAME_CRYSTAL = 0.5  # share of the anchors whose crystal has other sites of the absorber, that are mixed with these
BULK_EACH = 80  # anchors of each bulk metal: a foil is about as likely as a particle
PARTICLES_EACH = 4  # anchors of each particle: a table has many more sites than particles


@dataclass(frozen=True)
class Anchors:
    """What samples begin with: sites whose number is clear, particles, and metals without an end."""

    data: Dataset
    particle: np.ndarray  # mask
    numbers: np.ndarray  # coordination number; of a particle the mean over its atoms
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def of(cls, data: Dataset, fold: np.ndarray, particles: Sequence[str | Path], n_folds: int, seed: int) -> Self:
        """Sites with their folds, and the particles of some tables, of which shape and metals together are held out."""
        numbers, clear = data.cn.astype(float), np.flatnonzero(data.trainable & (data.weight > CLEAR))
        if not particles:
            return cls(data.take(clear), np.zeros(len(clear), bool), numbers[clear], fold[clear])
        rows = [row for path in particles for row in read_particles(path)]
        rows = [row for row in rows for _ in range(PARTICLES_EACH if row["particle"] else BULK_EACH)]
        more = {f.name: np.array([row[f.name] for row in rows]) for f in fields(Dataset) if f.name != "digest"}
        joined = {name: np.concatenate([getattr(data, name)[clear], values]) for name, values in more.items()}
        return cls(
            Dataset(**joined, digest=data.digest),
            np.concatenate([np.zeros(len(clear), bool), [row["particle"] for row in rows]]),
            np.concatenate([numbers[clear], [row["mean"] for row in rows]]),
            np.concatenate([fold[clear], folds(more["prototypes"], n_folds, seed)]),
        )


def read_particles(path: str | Path) -> list[dict]:
    """Each particle of a table (`build_models.data.particles`) and absorber as one entry: the mean over its atoms.

    Neighbours are those within 1.2 nearest distances, as they are counted for metals; of bcc the nearest eight alone,
    as CrystalNN has it.
    """
    table = pq.read_table(path)
    atoms = table.drop_columns(["chi_static", "chi_debye"]).to_pandas()
    chi = [np.stack(table[name].to_numpy()).astype(np.float32) for name in ("chi_static", "chi_debye")]
    variants = np.concatenate(chi, axis=1).reshape(len(atoms), -1, len(K_GRID))
    atoms["number"] = atoms["cn"].where(atoms["lattice"] == "bcc", atoms["cn_outer"])
    entries = []
    for (name, absorber), rows in atoms.groupby(["particle", "absorber"]):
        share = (rows["weight"] / rows["weight"].sum()).to_numpy()
        mean, first = float(share @ rows["number"]), rows.iloc[0]
        metals = sorted(map(str, Composition(first["composition"]).elements))
        entries.append(
            {
                "variants": np.tensordot(share, variants[rows.index], 1).astype(np.float32),
                "elements": absorber,
                "formulas": first["composition"],
                "sites": name,
                "prototypes": f"{' '.join(metals)} {first['lattice']} {first['shape']}",
                "cn": round(mean),
                "labels": np.eye(len(CLASSES), dtype=np.float32)[max(round(mean), 1) - 1],
                "weight": 1.0,
                "shell": " ".join(metals),
                "shell_end": 3.0,
                "mean": mean,
                "chosen": False,
                "particle": first["shape"] != BULK,
            }
        )
    return entries


def draw(anchors: Anchors, apart: np.ndarray, rng: np.random.Generator, how: Augmentation) -> tuple[np.ndarray, ...]:
    """One sample for each anchor: chi on `K_GRID`, kmax, kend, mean coordination number, kind (of `KINDS`).

    Anchors with different `apart` never meet.
    """
    data, n = anchors.data, len(anchors)
    kmax, kend = limits(n, rng, how.kmax)
    shares = _shares(n, rng)
    parts = np.vstack([np.arange(n), _partners(data, apart, rng, 2)]).T
    total = np.zeros((n, len(K_GRID)), np.float32)
    small = (rng.random(n) < SMALL) & ~anchors.particle & (shares[:, 0] == 1)
    for i, rows in enumerate(parts.T):
        used = np.flatnonzero(shares[:, i])
        chi = in_the_sample(data, rows[used], rng, how)
        disorder = rng.exponential(DISORDER, len(used)) * anchors.particle[rows[used]]
        chi *= np.exp(-2 * disorder[:, None] * K_GRID**2).astype(np.float32)
        if i == 0:
            chi[small] = weaken_far_shells(chi[small], data.shell_end[small], rng)
        else:
            chi = shift(chi, rng.normal(0, CHEMICAL_SHIFT, len(used)), np.ones(len(used)))
        total[used] += shares[used, i, None].astype(np.float32) * chi
    mean = (shares * anchors.numbers[parts]).sum(1)
    spread = np.sqrt((shares * (anchors.numbers[parts] - mean[:, None]) ** 2).sum(1))
    kind = np.where(spread >= SPREAD, SEVERAL, ONE)
    kind[((shares * anchors.particle[parts]).sum(1) > 0.5) | small] = PARTICLE
    return at_the_beamline(total, data.elements, kend, rng, how), kmax, kend, mean, kind


def _shares(n, rng):
    """Of the anchor and of up to two others: (n, 3)."""
    shares = rng.dirichlet([1, 1, 1], n)
    shares[rng.random(n) > THIRD, 2] = 0
    shares /= shares.sum(1, keepdims=True)
    shares[rng.random(n) >= MIXED] = [1, 0, 0]
    return shares


def _partners(data, apart, rng, count):
    """Rows of the same absorber and the same side, for each row: (count, n)."""
    keys = np.column_stack([np.unique(data.elements, return_inverse=True)[1], apart])
    groups = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    simple = np.array([sum(letter.isupper() for letter in formula) <= 2 for formula in data.formulas])
    out = np.zeros((count, len(data)), int)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        few = rows[simple[rows]] if simple[rows].any() else rows
        size = (count, len(rows))
        out[:, rows] = np.where(rng.random(size) < SIMPLE, rng.choice(few, size), rng.choice(rows, size))
    siblings = _siblings(data, groups)
    for row in np.flatnonzero(rng.random(len(data)) < SAME_CRYSTAL):
        if row in siblings:
            out[0, row] = rng.choice(siblings[row])
    return out


def _siblings(data, groups):
    """Other sites of the same group in the same crystal, by row."""
    sites = pd.Series(np.arange(len(data))).groupby([groups, [site.split(" site ")[0] for site in data.sites]])
    together = [rows.to_numpy() for _, rows in sites if len(rows) > 1 and " site " in data.sites[rows.iloc[0]]]
    return {row: rows[rows != row] for rows in together for row in rows}


def make(folder: Path, anchors: Anchors, apart: np.ndarray, how: Augmentation, count: int, seed: int) -> Copies:
    """Samples of all anchors, again and again: what the folder does not hold yet. Rows of a copy are anchors."""
    finished = folder / "done"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for copy in tqdm(range(count), desc=folder.name, disable=count == 1):
            rng = np.random.default_rng([seed, copy])
            chi, kmax, kend, mean, kind = draw(anchors, apart, rng, how)
            write_inputs(folder, copy, chi, anchors.data.elements, kmax, kend)
            np.save(folder / f"{copy:02d}-labels.npy", targets(mean, kind))
            np.save(folder / f"{copy:02d}-truth.npy", np.column_stack([mean, kind]))
        finished.touch()
    return Copies(folder, count)


def targets(mean: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """What the heads of the networks are to say: the mean between two points of `GRID`, and the kind."""
    place = (np.clip(mean, GRID[0], GRID[-1]) - GRID[0]) / STEP
    below = np.minimum(place.astype(int), len(GRID) - 2)
    y, rows = np.zeros((len(mean), sum(HEADS)), np.float32), np.arange(len(mean))
    y[rows, below], y[rows, below + 1] = 1 - (place - below), place - below
    y[rows, HEADS[0] + kind] = 1
    return y
