"""Samples: several sites or phases in one beam, particles, and single sites among them.

A sample begins with one entry of a table, its anchor; what holds the anchor out holds the sample out, for its other
components come from the anchor's own side.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from build_models.data.particles import BULK, ROUNDS, SIZES, counted
from build_models.data.table import check_debye
from build_models.spectra import augment
from build_models.spectra.augment import Augmentation, in_the_sample, limits, shift, weaken_far_shells
from build_models.spectra.copies import Copies, missing, write_inputs
from build_models.spectra.dataset import ARRAYS, CLASSES, CLEAR, Dataset, folds
from larch_cnpredict.composition import elements_of
from larch_cnpredict.domain import elements
from larch_cnpredict.features import K_GRID
from larch_cnpredict.samples import GRID, HEADS, ONE, PARTICLE, SEVERAL, STEP, told_columns

MIXED = 0.55  # share of anchors that others are mixed to
THIRD = 0.3  # of the mixtures, that have a third component
# What is mixed to an anchor: the absorber's own metal, no particle, as where a catalyst or a battery is reduced in the
# beam; elements, compounds of two elements and particles; and in the rest of the cases anything.
METAL, SIMPLE = 0.2, 0.4
CHEMICAL_SHIFT = 4.0  # eV: standard deviation of a component's own edge about that of the sample
# Share of single sites, and of components of mixtures, in particles so small that far shells are weak. Of metals none:
# there the near shell has fewer atoms, too, and that is what tables of particles are for.
SMALL, SMALL_PARTS = 0.06, 0.2
SPREAD = 0.7  # standard deviation of the coordination numbers in a sample from which on it is called several
DISORDER = 0.003  # Å^2: mean sigma2 that surface and strain add to that of the bulk, in half of the particles
SAME_CRYSTAL = 0.5  # share of the anchors whose crystal has other sites of the absorber, that are mixed with these
TOLD = 0.5  # share of samples whose s02 is told, and of those whose elements are
S02_ERROR = 0.06  # relative: what a foil's fit and another edge step are off by
PARTICLES_EACH = 16  # anchors of each particle: a table has many more sites than particles
BULK_EACH = PARTICLES_EACH * len(SIZES) * ROUNDS  # anchors of each bulk metal: a foil is as likely as its particles
_OF_CRYSTAL = re.compile(" (?:dopant|site) ")  # what follows says which site of a crystal it is


def in_the_beam(how: Augmentation) -> Augmentation:
    """What happens to samples, where this happens to single sites that families learn."""
    return replace(how, ideal=0, mixture=0, metals_by_debye=True, s02_by_absorber=True)


@dataclass(frozen=True)
class Anchors:
    """What samples begin with: sites whose number is clear, particles, and metals without an end."""

    data: Dataset
    particle: np.ndarray  # mask
    defect: np.ndarray  # mask: sites of no perfect crystal
    numbers: np.ndarray  # coordination number; of a particle the mean over its atoms
    fold: np.ndarray  # (n, 2): of particles those of their metals and of their shape, of others one twice

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def there(self) -> np.ndarray:
        """Which elements each is made of, by atomic number: (n, 119), a mask."""
        names = zip(self.data.elements.tolist(), self.data.formulas.tolist(), strict=True)
        return elements_of([dict.fromkeys(elements(formula) | {absorber}, 1.0) for absorber, formula in names])

    @classmethod
    def of(
        cls,
        data: Dataset,
        fold: np.ndarray,
        particles: Sequence[str | Path],
        n_folds: int,
        seed: int,
        defects: Dataset | None = None,
    ) -> Self:
        """Sites with their folds, and more: sites of no perfect crystal, and the particles of some tables.

        Sites that are among the defects too are taken from there. Defects are held out with the structure type of their
        crystal, particles with their metals and with their shape.
        """
        again = np.isin(data.sites, [] if defects is None else defects.sites)
        clear = np.flatnonzero(data.trainable & (data.weight > CLEAR) & ~again)
        site = np.zeros(len(clear), bool)
        # of each part: spectra, which are particles, which are defects, numbers, folds
        parts = [(data.take(clear), site, site, data.cn[clear].astype(float), np.column_stack([fold[clear]] * 2))]
        if defects is not None:
            of_type = dict(zip(data.prototypes, fold, strict=True))
            others = sorted(set(defects.prototypes) - set(of_type))
            of_type |= {key: i % n_folds for i, key in enumerate(others)}
            defect, held = np.ones(len(defects), bool), np.array([of_type[key] for key in defects.prototypes])
            parts.append((defects, ~defect, defect, defects.cn, np.column_stack([held] * 2)))
        if particles:
            rows = [row for path in particles for row in read_particles(path)]
            rows = [row for row in rows for _ in range(PARTICLES_EACH if row["particle"] else BULK_EACH)]
            more = {name: np.array([row[name] for row in rows]) for name in ARRAYS}
            particle, mean = (np.array([row[name] for row in rows]) for name in ("particle", "mean"))
            keys = np.array([[row["shell"], row["prototypes"]] for row in rows])
            held = np.column_stack([folds(key, n_folds, seed) for key in keys.T])
            held[~particle, 1] = held[~particle, 0]  # what has no end has no shape
            parts.append((Dataset(**more, digest=data.digest), particle, np.zeros(len(rows), bool), mean, held))
        spectra, *masks_and_numbers = zip(*parts, strict=True)
        return cls(Dataset.joined(spectra), *map(np.concatenate, masks_and_numbers))

    def take(self, rows: np.ndarray) -> Self:
        """Some of them."""
        return type(self)(
            self.data.take(rows), self.particle[rows], self.defect[rows], self.numbers[rows], self.fold[rows]
        )

    @property
    def tested(self) -> np.ndarray:
        """Those of which both is held out at once, a mask."""
        return np.asarray(self.fold[:, 0] == self.fold[:, 1])


def read_particles(path: str | Path) -> list[dict]:
    """Each particle of a table (`build_models.data.particles`) and absorber as one entry: the mean over its atoms.

    Neighbours are those within 1.2 nearest distances, as they are counted for metals; of bcc the nearest eight alone,
    as CrystalNN has it.
    """
    check_debye(path)
    table = pq.read_table(path)
    atoms = table.drop_columns(["chi_static", "chi_debye"]).to_pandas()
    chi = [np.stack(table[name].to_numpy()).astype(np.float32) for name in ("chi_static", "chi_debye")]
    variants = np.concatenate(chi, axis=1).reshape(len(atoms), -1, len(K_GRID))
    atoms["number"] = counted(atoms["lattice"], atoms["cn"], atoms["cn_outer"])
    entries = []
    for (name, absorber), rows in atoms.groupby(["particle", "absorber"]):
        share = (rows["weight"] / rows["weight"].sum()).to_numpy()
        mean, first = float(share @ rows["number"]), rows.iloc[0]
        metals = sorted(elements(first["composition"]))
        entries.append(
            {
                "variants": np.tensordot(share, variants[rows.index], 1).astype(np.float32),
                "elements": absorber,
                "formulas": first["composition"],
                "sites": name,
                "prototypes": f"{first['lattice']} {first['shape']}",
                "cn": round(mean),
                "labels": np.eye(len(CLASSES), dtype=np.float32)[max(round(mean), 1) - 1],
                "weight": 1.0,
                "shell": " ".join(metals),
                "shell_end": 3.0,
                "mean": mean,
                "extra": False,
                "single": False,
                "particle": first["shape"] != BULK,
            }
        )
    return entries


def draw(anchors: Anchors, sides: np.ndarray, rng: np.random.Generator, how: Augmentation) -> tuple[np.ndarray, ...]:
    """One sample for each anchor: chi on `K_GRID`, kmax, kend, what is told, mean coordination number, kind (`KINDS`).

    `sides`, (n, 2) like `Anchors.fold`, says what may meet: all that a sample has in it is on the first side of its
    anchor, by both of its own.
    """
    data, n = anchors.data, len(anchors)
    kmax, kend = limits(n, rng, how.kmax)
    shares = _shares(n, rng)
    parts = np.vstack([np.arange(n), _partners(anchors, sides, rng, 2)]).T
    total = np.zeros((n, len(K_GRID)), np.float32)
    single = shares[:, :1] == 1
    small = rng.random(shares.shape) < np.where(single, SMALL, SMALL_PARTS)
    small &= ~(anchors.particle | data.metallic)[parts]
    for i, rows in enumerate(parts.T):
        used = np.flatnonzero(shares[:, i])
        chi = in_the_sample(data, rows[used], rng, how)
        disorder = rng.exponential(DISORDER, len(used)) * (anchors.particle[rows[used]] & (rng.random(len(used)) < 0.5))
        chi *= np.exp(-2 * disorder[:, None] * K_GRID**2).astype(np.float32)
        weak = small[used, i]
        chi[weak] = weaken_far_shells(chi[weak], data.shell_end[rows[used[weak]]], rng)
        if i:
            chi = shift(chi, rng.normal(0, CHEMICAL_SHIFT, len(used)), np.ones(len(used)))
        total[used] += shares[used, i, None].astype(np.float32) * chi
    mean = (shares * anchors.numbers[parts]).sum(1)
    spread = np.sqrt((shares * (anchors.numbers[parts] - mean[:, None]) ** 2).sum(1))
    kind = np.where(spread >= SPREAD, SEVERAL, ONE)
    kind[((shares * anchors.particle[parts]).sum(1) > 0.5) | (single & small)[:, 0]] = PARTICLE
    s02 = augment.draw_s02(data.elements, rng, how)
    chi = augment.at_the_beamline(total, data.elements, kend, rng, how, s02)
    known = np.where(rng.random(n) < TOLD, s02 * rng.lognormal(0, S02_ERROR, n), np.nan)
    there = (anchors.there[parts] & (shares > 0)[..., None]).any(1)
    told = told_columns(known, there & (rng.random(n) < TOLD)[:, None])
    return chi, kmax, kend, told, mean, kind


def _shares(n, rng):
    """Of the anchor and of up to two others: (n, 3)."""
    shares = rng.dirichlet([1, 1, 1], n)
    shares[rng.random(n) > THIRD, 2] = 0
    shares /= shares.sum(1, keepdims=True)
    shares[rng.random(n) >= MIXED] = [1, 0, 0]
    return shares


def _partners(anchors, sides, rng, count):
    """Rows of the same absorber and the same side, for each row: (count, n).

    Where metals and shape are on two sides, the partner is of that of the metals: the sample is held out with it. What
    is on two sides is nobody's partner.
    """
    data, meets = anchors.data, sides[:, 0] == sides[:, 1]
    keys = np.column_stack([np.unique(data.elements, return_inverse=True)[1], sides[:, 0]])
    groups = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    metal = (data.formulas == data.elements) & ~anchors.particle
    simple = np.array([len(elements(formula)) <= 2 for formula in data.formulas])
    out = np.tile(np.arange(len(data)), (count, 1))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        meet = rows[meets[rows]]
        if len(meet):
            size = (count, len(rows))
            wish = rng.random(size)
            out[:, rows] = rng.choice(meet, size)
            for few, wished in ((metal, wish < METAL), (simple, (wish >= METAL) & (wish < METAL + SIMPLE))):
                if few[meet].any():
                    out[:, rows] = np.where(wished, rng.choice(meet[few[meet]], size), out[:, rows])
    siblings = _siblings(data, groups)
    for row in np.flatnonzero(rng.random(len(data)) < SAME_CRYSTAL):
        if row in siblings:
            out[0, row] = rng.choice(siblings[row])
    return out


def crystals(data: Dataset) -> np.ndarray:
    """The name of the crystal that each site is of, or was before it became a defect."""
    return np.array([_OF_CRYSTAL.split(site)[0] for site in data.sites])


def _siblings(data, groups):
    """Other sites of the same group in the same crystal, by row, defects among them."""
    sites = pd.Series(np.arange(len(data))).groupby([groups, crystals(data)])
    together = [rows.to_numpy() for _, rows in sites if len(rows) > 1 and " site " in data.sites[rows.iloc[0]]]
    return {row: rows[rows != row] for rows in together for row in rows}


def make(folder: Path, anchors: Anchors, sides: np.ndarray, how: Augmentation, count: int, seed: int) -> Copies:
    """Samples of all anchors, again and again: what the folder does not hold yet. Rows of a copy are anchors."""
    for copy in missing(folder, count):
        chi, kmax, kend, told, mean, kind = draw(anchors, sides, np.random.default_rng([seed, copy]), how)
        write_inputs(folder, copy, chi, anchors.data.elements, kmax, kend, told)
        np.save(folder / f"{copy:02d}-labels.npy", targets(mean, kind))
        np.save(folder / f"{copy:02d}-truth.npy", np.column_stack([mean, kind]))
    return Copies(folder, count, anchors.data.single_kinds)


def targets(mean: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """What the heads of the networks are to say: the mean between two points of `GRID`, and the kind."""
    place = (np.clip(mean, GRID[0], GRID[-1]) - GRID[0]) / STEP
    below = np.minimum(place.astype(int), len(GRID) - 2)
    y, rows = np.zeros((len(mean), sum(HEADS)), np.float32), np.arange(len(mean))
    y[rows, below], y[rows, below + 1] = 1 - (place - below), place - below
    y[rows, HEADS[0] + kind] = 1
    return y
