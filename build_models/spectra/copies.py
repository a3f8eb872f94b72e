"""Augmented copies of a whole table of spectra, made once and read by every model and every fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Composition
from tqdm import tqdm

from build_models.spectra.augment import Augmentation, augment, mix, partners
from build_models.spectra.dataset import Dataset
from larch_cnpredict import composition, features


@dataclass(frozen=True)
class Copies:
    """Arrays of a folder, read as they are asked for.

    A row of each copy is a site of the table: what holds a site out holds all copies of it out.
    """

    folder: Path
    count: int
    single: np.ndarray | None = None  # of sites that have single scattering alone their kind, -1 for others; None: none

    def inputs(self, reads: str, copy: int, rows: np.ndarray) -> np.ndarray:
        """What models that read 'magnitude' or 'complex' see of some sites: (n, n_features) float32."""
        return np.load(self._path(copy, reads), mmap_mode="r")[rows].astype(np.float32)

    def labels(self, copy: int, rows: np.ndarray) -> np.ndarray:
        """Distributions over `dataset.CLASSES`: (n, 16) float32."""
        return np.load(self._path(copy, "labels"), mmap_mode="r")[rows]

    def truth(self, copy: int) -> np.ndarray:
        """Of copies of samples: mean coordination number and kind, (n, 2)."""
        return np.load(self._path(copy, "truth"))

    def _path(self, copy: int, what: str) -> Path:
        return self.folder / f"{copy % self.count:02d}-{what}.npy"


@dataclass(frozen=True)
class Compositions:
    """What networks read that know compositions alone, 'formula' or 'elements', and labels: copies that are alike."""

    x: np.ndarray  # (n, 142) float32
    y: np.ndarray  # (n, 16) float32
    single: None = None  # all are seen in each epoch

    @classmethod
    def of(cls, data: Dataset, kind: str, sharpness: float) -> Compositions:
        amounts = [Composition(formula).get_el_amt_dict() for formula in data.formulas]
        if kind == "elements":
            amounts = [dict.fromkeys(symbols, 1.0) for symbols in amounts]
        return cls(composition.inputs(amounts, data.elements.tolist()), sharpened(data.labels, sharpness))

    def inputs(self, reads: str, copy: int, rows: np.ndarray) -> np.ndarray:
        return self.x[rows]

    def labels(self, copy: int, rows: np.ndarray) -> np.ndarray:
        return self.y[rows]


def make(
    folder: Path,
    data: Dataset,
    augmentation: Augmentation,
    sharpness: float,
    count: int,
    seed: int,
    apart: np.ndarray,
) -> Copies:
    """Make what the folder does not hold yet.

    The folder is of this data, augmentation and seed, and no other. Labels are CrystalNN's weights to the power of
    `sharpness`, normalised: 1 is its own distribution, a large number leaves the most probable value alone. Sites with
    different values of `apart` are never mixed (folds, and what training must not see).
    """
    groups = np.unique(np.column_stack([data.mixing_groups, apart]), axis=0, return_inverse=True)[1].ravel()
    sharp = sharpened(data.labels, sharpness)
    # extra sites by themselves: they change nothing of what the others become
    parts = [([], np.flatnonzero(~data.extra)), ([1], np.flatnonzero(data.extra))]
    for copy in missing(folder, count):
        made = []
        for more, rows in parts[: 1 + data.extra.any()]:
            rng = np.random.default_rng([seed, copy, *more])
            mixed = partners(groups[rows], rng, augmentation.mixture) if augmentation.mixture else None
            labels = mix(sharp[rows], *mixed) if mixed else sharp[rows]
            made.append((*augment(data, rows, rng, augmentation, mixed), labels))
        chi, kmax, kend, labels = map(np.concatenate, zip(*made, strict=True))
        write_inputs(folder, copy, chi, data.elements, kmax, kend)
        np.save(folder / f"{copy:02d}-labels.npy", labels.astype(np.float32))
    return Copies(folder, count, data.single_kinds)


def missing(folder: Path, count: int) -> Iterator[int]:
    """The copies that a folder has not got, all or none."""
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        yield from tqdm(range(count), desc=folder.name, disable=count == 1)
        (folder / "done").touch()


def write_inputs(
    folder: Path,
    copy: int,
    chi: np.ndarray,
    elements: np.ndarray,
    kmax: np.ndarray,
    kend: np.ndarray,
    *told: np.ndarray,
) -> None:
    """What models of both kinds read of the spectra of one copy; half precision is finer than any noise."""
    for reads in ("magnitude", "complex"):
        x = np.hstack([features.from_chi(reads, chi, elements.tolist(), kmax, kend), *told])
        np.save(folder / f"{copy:02d}-{reads}.npy", x.astype(np.float16))


def sharpened(labels: np.ndarray, sharpness: float) -> np.ndarray:
    """Distributions raised to a power and normalised; rows without one stay zero."""
    highest = np.maximum(labels.max(1, keepdims=True), 1e-9)
    powered = (labels / highest) ** np.float32(sharpness)
    return powered / np.maximum(powered.sum(1, keepdims=True), 1e-9)
