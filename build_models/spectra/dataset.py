"""The spectra table as arrays that training reads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pymatgen.core import Element

from build_models.config import ConfigError
from build_models.data import labels, table
from larch_cnpredict.features import K_GRID

# Coordination numbers that the models tell apart. CrystalNN finds more than 16 neighbours for 0.3 % of the sites: they
# are not trained on, and every accuracy over all sites counts them as wrong.
CLASSES = np.arange(1, 17)
# At most so many sites of one formula, absorber and coordination number are taken: a hundred polytypes of ZnS are
# neither a hundred things to learn nor a hundred right answers.
MOST_ALIKE = 10
COMPLEX = "complex "  # what the structure types of complexes begin with
CLEAR = 0.8  # CrystalNN's weight above which a site's coordination number is called clear
# For tables without the Debye model (Materials Project spectra): one sigma2 for all paths, Å^2, the largest first.
SIGMA2 = np.array([0.012, 0.009, 0.006, 0.004, 0.002])


@dataclass(frozen=True)
class Dataset:
    """One entry a site."""

    variants: np.ndarray  # (n, 6, 361) float32, chi(k) at sigma2 = 0 and with five Debye temperatures
    elements: np.ndarray  # absorbers
    formulas: np.ndarray  # reduced
    sites: np.ndarray  # 'mp-226 site 0'
    prototypes: np.ndarray  # anonymous formula and space group, see `labels.prototype`
    cn: np.ndarray  # CrystalNN's most probable coordination number
    labels: np.ndarray  # (n, 16) float32, CrystalNN's distribution over `CLASSES`
    weight: np.ndarray  # CrystalNN's, of `cn`
    shell: np.ndarray  # 'O6' or 'O4 N2'
    shell_end: np.ndarray  # Å, distance of the farthest first neighbour
    extra: np.ndarray  # mask: sites that some families learn from and no figure counts, after all others
    single: np.ndarray  # mask: those of them that have single scattering alone, the last ones
    digest: str  # of the tables

    def __len__(self) -> int:
        return len(self.cn)

    def take(self, rows: np.ndarray) -> "Dataset":
        """The dataset of some rows."""
        return Dataset(**{name: getattr(self, name)[rows] for name in ARRAYS}, digest=self.digest)

    @classmethod
    def joined(cls, parts: Sequence["Dataset"]) -> "Dataset":
        """The datasets one after the other, with the digest of the first."""
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
        return cls(**arrays, digest=parts[0].digest)

    @property
    def trainable(self) -> np.ndarray:
        """Rows whose label the models can give, as a mask."""
        return (self.labels.sum(1) > 0) & np.isin(self.cn, CLASSES)

    @property
    def made_up(self) -> np.ndarray:
        """Rows of complexes, as a mask: that their composition goes with their number is none of nature's doing."""
        return np.asarray(np.char.startswith(self.prototypes, COMPLEX))

    @cached_property
    def metallic(self) -> np.ndarray:
        """Rows whose first neighbours are all metals, as a mask."""
        return np.array([bool(names) and all(Element(name).is_metal for name in names) for names in self._neighbours])

    @cached_property
    def single_kinds(self) -> np.ndarray | None:
        """Of `single` rows a number that those with as many neighbours, of the same elements, share; -1 of others.

        None where there are no such rows.
        """
        if not self.single.any():
            return None
        elements = [" ".join(sorted(set(symbols))) for symbols in self._neighbours]
        kinds = np.unique(np.char.add(self.cn.astype(str), elements), return_inverse=True)[1]
        return np.where(self.single, kinds, -1)

    @property
    def mixing_groups(self) -> np.ndarray:
        """Absorber and nearest neighbour: sites that one compound could hold together."""
        nearest = [next(iter(symbols), "") for symbols in self._neighbours]
        return np.unique(np.char.add(self.elements.astype(str), nearest), return_inverse=True)[1]

    @property
    def _neighbours(self) -> list[list[str]]:
        """The elements of each site's first neighbours, the nearest first."""
        return [[word.rstrip("0123456789") for word in shell.split()] for shell in self.shell]


ARRAYS = [one.name for one in fields(Dataset) if one.name != "digest"]


def load(
    paths: Sequence[str | Path],
    structures: Sequence[str | Path] = (),
    extra: Sequence[str | Path] = (),
    single: Sequence[str | Path] = (),
) -> Dataset:
    """Read one or more spectra tables; a site that two of them hold is taken from the first.

    All rows of a table (`build_models.data.table.SCHEMA`) have the Debye variants, or none. A structure type is that of
    the crystal in the tables `structures`, else what the spectra table says; a crystal of which neither says one is an
    error. `extra` and `single` are learnt from and in no figure.
    """
    tables, chi, digest = [], [], hashlib.sha256()
    for path in (every := [*paths, *extra, *single]):
        digest.update(bytes.fromhex(table.sha256(Path(path))))
        rows, spectra = _read(path)
        tables.append(rows.assign(extra=path in (*extra, *single), single=path in single))
        chi.append(spectra)
    sites = pd.concat(tables, ignore_index=True).drop_duplicates(["material_id", "site_index"])
    sites = sites[sites.groupby(["formula", "absorber", "cn"]).cumcount() < MOST_ALIKE]
    neighbours = [[n.split(":") for n in words.split()] for words in sites["neighbours"]]
    shells = [[symbol for symbol, _ in site] for site in neighbours]
    # sites by the ten thousand say their own structure type
    known = labels.prototypes(structures, sites["material_id"][~sites["single"]].tolist())
    said = sites.get("prototype", pd.Series(None, sites.index, dtype=object))
    if nowhere := sorted(set(sites["material_id"][said.isna()]).difference(known)):
        raise ConfigError(
            f"the tables say no structure type of {nowhere[0]} and {len(nowhere) - 1} crystals more, so none could be "
            "held out whole: name the tables of their crystals in [train] structures"
        )
    distributions = map(_distribution, sites["cn_values"], sites["cn_weights"])
    data = Dataset(
        variants=np.concatenate(chi)[sites.index],
        elements=sites["absorber"].to_numpy(str),
        formulas=sites["formula"].to_numpy(str),
        sites=(sites["material_id"] + " site " + sites["site_index"].astype(str)).to_numpy(str),
        prototypes=np.array([known.get(i, kind) for i, kind in zip(sites["material_id"], said, strict=True)]),
        cn=sites["cn"].to_numpy(int),
        labels=np.array([*distributions], dtype=np.float32),
        weight=np.array([max(weights, default=0.0) for weights in sites["cn_weights"]], dtype=float),
        shell=np.array([" ".join(f"{s}{shell.count(s)}" for s in dict.fromkeys(shell)) for shell in shells]),
        shell_end=np.array([max((float(d) for _, d in site), default=2.5) for site in neighbours]),
        extra=sites["extra"].to_numpy(),
        single=sites["single"].to_numpy(),
        digest=digest.hexdigest()[:16],
    )
    for path in every if data.metallic.any() else []:
        table.check_debye(path)
    return data


def _read(path: str | Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The sites of a table, and chi(k) of each with its Debye variants, (n, 6, 361) float32."""
    rows = pq.read_table(path)
    if not len(rows):
        raise ConfigError(f"{path} has no site: it is empty")
    static, debye = (
        rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1, len(K_GRID))
        for name in ("chi_static", "chi_debye")
    )
    if not (np.isfinite(static).all() and np.isfinite(debye).all()):
        raise ConfigError(f"{path} has chi(k) that is no number: one such site makes a network of them")
    if not debye.shape[1]:
        debye = static.astype(np.float32) * np.exp(-2 * SIGMA2[:, None] * K_GRID**2).astype(np.float32)
    sites = rows.drop_columns(["chi_static", "chi_debye"]).to_pandas()
    return sites, np.concatenate([static, debye], axis=1, dtype=np.float32)


def _distribution(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Over `CLASSES`; nothing where all values lie beyond."""
    known = np.isin(values, CLASSES)
    out = np.bincount(values[known] - CLASSES[0], weights[known], len(CLASSES))
    return out / out.sum() if out.sum() else out


def folds(keys: np.ndarray, n: int, seed: int, extra: np.ndarray | None = None) -> np.ndarray:
    """A fold number for each row; rows with one key share a fold, and `extra` rows change that of no other.

    Keys are prototypes or formulas, to hold them out whole, or row numbers, for the paper's random split.
    """
    first = keys if extra is None else keys[~extra]
    unique = np.unique(first)
    number = dict(zip(unique, np.random.default_rng(seed).permutation(len(unique)), strict=True))
    for key in np.setdiff1d(keys, unique):
        number[key] = len(number)
    return np.array([number[key] for key in keys], int) % n
