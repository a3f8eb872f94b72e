"""Sites of no perfect crystal: beside a vacancy, on a support, as a dopant among others, alone in a sheet of carbon.

A site of a crystal, its absorber or some metals around it exchanged, is one run of FEFF8L. From its paths come three
spectra: as it is, with a neighbour or two left out, and cut out, with nothing or little behind the first shell.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Composition, Element, Lattice, Structure
from tqdm import tqdm

from build_models.config import Config, ConfigError
from build_models.data import feff, labels, paths, structures, table, work
from build_models.data.paths import Paths
from build_models.spectra.dataset import CLEAR
from larch_cnpredict.features import ELEMENTS

EACH = 80  # crystals of an absorber at most, each of another formula or number
SHEETS = 12  # of an absorber
DOPANT = 0.5  # share of crystals whose absorber is another one, at most two places away
OTHERS = 0.5  # the largest share of another metal that is exchanged
TWO_OUT = 0.3  # of sites with five neighbours and more
BEHIND = 1.6  # Å behind the first shell, that is left of a support at most
SAME = 0.006  # Å: labels have three decimals
VACUUM = 8.0  # Å, more than FEFF's cluster holds between two clusters
# Graphene, 1.42 Å between atoms; M-N in it is 1.9 to 2.0 Å, with the metal in the sheet or above it (Fe and Co in
# phthalocyanines 1.91 to 1.93 Å, zinc 1.98 Å and half an ångström above).
GRAPHENE = Lattice.hexagonal(2.46, 20.0)
WIDEN, HEIGHT, AXIAL = (0.0, 0.1), (0.0, 0.5), (1.75, 2.15)
SECONDS = 0.7  # of processor time for a site


@dataclass(frozen=True)
class Site:
    """What FEFF is run on: a piece of a crystal in a box, the absorber first, and how it is labelled."""

    row: dict  # of `table.LABEL_SCHEMA`
    structure: Structure


def boxed(names: Sequence[str], points: np.ndarray) -> Structure:
    box = Lattice.cubic(2 * np.abs(points).max() + VACUUM)
    return Structure(box, list(names), points, coords_are_cartesian=True)


def _of_crystal(parent: dict, crystal: Structure, radius: float, rng: np.random.Generator) -> Site:
    """The site of a labelled crystal, with another absorber or other metals around it."""
    center, told = crystal[parent["site_index"]], parent["formula"]
    near = sorted(crystal.get_sites_in_sphere(center.coords, radius), key=lambda site: site.nn_distance)
    names, points = [site.specie.symbol for site in near], np.array([site.coords - center.coords for site in near])
    place, before = ELEMENTS.index(names[0]), names.copy()
    if rng.random() < DOPANT:
        names[0] = str(rng.choice([e for e in ELEMENTS[max(place - 2, 0) : place + 3] if e != names[0]]))
    metals = sorted({symbol for symbol in names if Element(symbol).is_metal})
    old, new, share = rng.choice(metals), str(rng.choice(ELEMENTS)), rng.uniform(0, OTHERS)
    exchanged = (np.array(names) == old) & (rng.random(len(names)) < share)
    names = [names[0], *np.where(exchanged, new, names)[1:].tolist()]
    if names != before:  # who tells the elements tells those that are there
        told = labels.formula_key(Composition(Counter(names)))
    named = {"material_id": _name(parent), "absorber": names[0], "formula": told}
    row = parent | named | {"site_index": 0, "prototype": labels.prototype(crystal)}
    return Site(row, boxed(names, points))


def _name(parent: dict) -> str:
    return f"{parent['material_id']} dopant at {parent['site_index']}"


def _of_name(config: Config, part: int, name: str) -> np.random.Generator:
    """Of a name and not of a place in the plan: another --limit or table leaves what is drawn for it as it is."""
    return np.random.default_rng([config.seed, part, zlib.crc32(name.encode())])


def _of_sheet(absorber: str, number: int, radius: float, rng: np.random.Generator) -> Site:
    """A metal in graphene, in the place of two atoms, or above that of one; N or O around it, and O or Cl upon it."""
    nearest = int(rng.choice([3, 4, 4, 4]))
    atoms = Structure(GRAPHENE, ["C", "C"], [(0, 0, 0), (1 / 3, 2 / 3, 0)])
    middle = atoms[0].coords if nearest == 3 else (atoms[0].coords + atoms[1].coords) / 2
    near = [site for site in atoms.get_sites_in_sphere(middle, radius) if abs(site.coords[2]) < 1]
    points = np.array([site.coords - middle for site in near])
    away = np.linalg.norm(points, axis=1)
    points = points[np.argsort(away, kind="stable")][2 if nearest == 4 else 1 :]
    points[:nearest] *= 1 + rng.uniform(*WIDEN) / np.linalg.norm(points[0])
    ring = np.full(len(points), "C", dtype="<U2")
    ring[:nearest] = np.where(rng.random(nearest) < rng.choice([0.0, 0.5, 1.0], p=[0.7, 0.2, 0.1]), "O", "N")
    upon = int(rng.choice([0, 1, 2] if nearest == 4 else [0, 1], p=[0.5, 0.35, 0.15] if nearest == 4 else [0.6, 0.4]))
    height = rng.uniform(*HEIGHT) if nearest == 4 else np.sqrt(rng.uniform(1.85, 2.05) ** 2 - points[0] @ points[0])
    points[:, 2] -= height if upon < 2 else 0.0
    ligand = str(rng.choice(["O", "O", "Cl"]))
    axial = np.outer([1, -1][:upon], [0, 0, rng.uniform(*AXIAL) + 0.35 * (ligand == "Cl")])
    points, names = np.vstack([np.zeros((1, 3)), axial, points]), [absorber, *[ligand] * upon, *ring.tolist()]
    away, cn = np.linalg.norm(points, axis=1), nearest + upon
    bonds = sorted((round(float(away[i]), 3), names[i]) for i in range(1, 1 + cn))
    row = {
        "material_id": f"sheet {number}",
        "site_index": 0,
        "formula": absorber + "C" + "".join(sorted(set(names[1:]) - {"C"})),
        "prototype": f"metal in graphene, {cn} neighbours",
        "cn": cn,
        "neighbours": labels.neighbour_words(bonds),
    }
    return Site(row | {"absorber": absorber}, boxed(names, points))


def clear_sites(config: Config) -> pd.DataFrame:
    """Labelled sites of the spectra tables whose number is clear, without their spectra."""
    names = [*table.KEY, "absorber", "formula", "cn", "cn_weights", "neighbours"]
    sites = pd.concat([pq.read_table(path, columns=names).to_pandas() for path in config.tables], ignore_index=True)
    return sites[sites["cn_weights"].map(max) > CLEAR]


def parents(config: Config) -> pd.DataFrame:
    """Those that are surely no metals, with few of one kind: what one neighbour less makes of others nobody knows."""
    sites = clear_sites(config)
    firm = {symbol.symbol for symbol in Element if not symbol.is_metal}
    alone = [{word.split(":")[0] for word in words.split()} <= firm - {"H"} for words in sites["neighbours"]]
    sites = sites[np.array(alone, bool) & (sites["cn"] > 2)].sample(frac=1, random_state=config.seed)
    sites = sites.drop_duplicates(["absorber", "formula", "cn"])
    return sites[sites.groupby("absorber").cumcount() < (config.limit or EACH)]


def plan(config: Config) -> Iterator[Site]:
    """All sites, the same for the same seed and tables."""
    chosen, radius = parents(config), config.feff.cluster_radius
    if chosen.empty:
        raise ConfigError("no site of [train] tables has a clear number and no metal beside it")
    files = config.train.structures or [config.out / "structures.parquet"]
    rows = structures.rows_of(files, set(chosen["material_id"]))
    for parent in chosen.to_dict("records"):
        if parent["material_id"] in rows:
            crystal = structures.to_structure(rows[parent["material_id"]])
            yield _of_crystal(parent, crystal, radius, _of_name(config, 2, _name(parent)))
    for number in range(min(config.limit or SHEETS, SHEETS)):
        for place, absorber in enumerate(ELEMENTS):
            rng = np.random.default_rng([config.seed, 3, number, place])
            yield _of_sheet(absorber, number * len(ELEMENTS) + place, radius, rng)


def simulate(config: Config) -> Path:
    """Paths of every site that has none yet, and a table, as of crystals, of all that is made of them."""
    sites, kept = list(plan(config)), replace(config, run=replace(config.run, keep_paths=True))
    # the absorber is the first of its box, whatever it was in the crystal
    wanted = ((site.row["material_id"], site.structure, [0]) for site in sites)
    chi, names = work.planned(kept, "defects", wanted, SECONDS)
    _, failures = table.parted(chi)
    rows: list[dict] = []
    planned = {site.row["material_id"]: site.row for site in sites}
    done = paths.load(paths.kept(config.out / "defects"))
    for key, scattering in tqdm(done, total=len(sites), desc="defects.parquet"):
        if name := names.get(key):
            rows += of_paths(planned[name], scattering, config, _of_name(config, 4, name))
    rows.sort(key=lambda row: str(row["material_id"]))
    spectra, words = pa.Table.from_pylist(rows, schema=table.SCHEMA), f" of {len(rows) // 3} sites"
    return table.finish(config.out / "defects.parquet", spectra, table.made_with_feff(config), failures, words)


def of_paths(row: dict, scattering: Paths, config: Config, rng: np.random.Generator) -> list[dict]:
    """The site as it is, with neighbours left out, and cut out of what is around it; none where labels do not tell."""
    first = first_shell(scattering, row["neighbours"])
    if len(first) != row["cn"]:  # an atom that is none of the neighbours is as far away as one of them
        return []
    away = np.linalg.norm(scattering.atoms, axis=1)
    gone = np.zeros(len(away), bool)
    gone[rng.choice(first, 1 + int(row["cn"] > 4 and rng.random() < TWO_OUT), replace=False)] = True
    reach = away[first].max() + rng.uniform(0.05, BEHIND)
    left = {
        "": scattering,
        " vacancy": paths.without(scattering, gone),
        " support": paths.within(scattering, reach),
    }
    made = []
    for kind, some in left.items():
        there = first[~gone[first]] if kind == " vacancy" else first
        words = labels.neighbour_words(zip(away[there], symbols(scattering, there), strict=True))
        label = {"cn": len(there), "cn_values": [len(there)], "cn_weights": [1.0], "neighbours": words}
        spectrum = table.chi_columns(feff.variants(some, config.feff)) | {"multiplicity": 1, "n_sites": 1}
        made.append(row | label | spectrum | {"material_id": row["material_id"] + kind})
    return made


def kind(site: str) -> str:
    """What a site of these tables, or of those of complexes, is, from its name."""
    words = {
        "complex ": "complexes",
        " vacancy": "beside a vacancy",
        " support": "on a support",
        "sheet ": "in graphene",
    }
    return next((kind for word, kind in words.items() if word in site), "crystals with metals exchanged")


def first_shell(scattering: Paths, neighbours: str) -> np.ndarray:
    """Numbers of the atoms that a label names, nearest first; more or fewer where distances do not tell."""
    away = np.linalg.norm(scattering.atoms, axis=1)
    named, found = symbols(scattering, np.arange(len(away))), set()
    for symbol, distance in (word.split(":") for word in neighbours.split()):
        alike = (named == symbol) & (np.abs(away - float(distance)) < SAME)
        found |= set(np.flatnonzero(alike[1:]) + 1)
    return np.array(sorted(found), int)


def symbols(scattering: Paths, atoms: np.ndarray) -> np.ndarray:
    """Elements of some atoms of the cluster."""
    every = np.array([Element.from_Z(z).symbol for z in scattering.numbers.tolist()])
    return np.asarray(every[scattering.atom_potentials[atoms]])
