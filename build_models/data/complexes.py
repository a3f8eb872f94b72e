"""Complexes: metals among molecules, as chemists make them, biologists find them and crystals of oxides never have.

Ideal polyhedra of ligands, most of which come in one piece with what is behind the donor: rings, chains, other rings
that share two donors. Distances are those of labelled crystals. Hydrogen counts in formulas and is not in FEFF's atoms.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pymatgen.core import Composition
from scipy.spatial.distance import cdist

from build_models.config import Config, ConfigError
from build_models.data import labels, table, work
from build_models.data.defects import Site, boxed, clear_sites
from build_models.spectra.dataset import COMPLEX
from larch_cnpredict.features import ELEMENTS

EACH = 300  # of an absorber
ALIKE = 0.35  # share of complexes whose ligands are all of one kind, where these fill the polyhedron
AXIAL, STRETCH = 0.35, (0.92, 1.15)  # share of complexes in which one ligand's axis is its own, and how much longer
CROOKED, UNEQUAL = 0.06, 0.015  # of directions, radians, and of distances, relative
CLOSE = 1.9  # Å: no two atoms of different ligands are nearer, but for donors ...
DONORS_CLOSE = 2.1  # ... which keep this
TRIES = 300
CHELATE = 1.95  # radians between the two corners that a chelate takes, at most
SECONDS = 0.6  # of processor time for a site


@dataclass(frozen=True)
class Ligand:
    """Atoms in a frame whose origin is the first donor, or the middle of two, and whose x points away from the metal.

    Lengths in Å are those that textbooks give for free molecules.
    """

    symbols: str  # the donors come first
    points: tuple[tuple[float, ...], ...]  # (x, y) or (x, y, z)
    donors: int = 1
    hydrogens: int = 0

    @property
    def corners(self) -> int:
        """Of the polyhedron."""
        return 2 if self.donors == 2 else 1

    @property
    def names(self) -> list[str]:
        return self.symbols.split()

    def place(self, r: float) -> np.ndarray:
        """Its atoms, the metal at the origin; the first donor is r from it, and so are the others."""
        points = np.array([[*point, 0.0][:3] for point in self.points])
        aside = np.linalg.norm(points[0, 1:])
        return points + np.array([np.sqrt(r**2 - aside**2) - points[0, 0], 0, 0])


def _ring(n: int, bond: float) -> list[tuple[float, float]]:
    """A regular ring in the plane, its first corner at the origin and the others behind it."""
    radius, turn = bond / 2 / np.sin(np.pi / n), 2 * np.pi * np.arange(n) / n
    return [*zip((radius * (1 - np.cos(turn))).tolist(), (radius * np.sin(turn)).tolist(), strict=True)]


def _bipyridine() -> tuple[tuple[float, ...], ...]:
    """Two rings of pyridine, joined beside their nitrogens, which are 2.65 Å apart: nitrogens first."""
    ring = np.array(_ring(6, 1.39))
    ring[:, 1] *= -1  # the corner after the nitrogen is the one that the other ring is bound to
    turn = np.pi / 3 - np.arcsin((1.325 - 0.745) / 1.39)  # so that these corners are 1.49 Å apart
    half = ring @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + [0, 1.325]
    other = half * [1, -1]
    return tuple(map(tuple, np.vstack([half[:1], other[:1], half[1:], other[1:]]).tolist()))


def _tripod(bond: float, x: float, n: int = 3) -> tuple[tuple[float, ...], ...]:
    """So many atoms at one distance from the origin, around x."""
    turn, y = 2 * np.pi * np.arange(n) / n, np.sqrt(bond**2 - x**2)
    return tuple(zip([x] * n, (y * np.cos(turn)).tolist(), (y * np.sin(turn)).tolist(), strict=True))


def _both(*points: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Each point, and where half a turn around x takes it: in the plane, its mirror image."""
    return tuple((x, *(sign * other for other in aside)) for x, *aside in points for sign in (1, -1))


ORIGIN = (0.0, 0.0)
LIGANDS = {
    "water": Ligand("O", (ORIGIN,), hydrogens=2),
    "oxide": Ligand("O", (ORIGIN,)),
    "ammine": Ligand("N", (ORIGIN,), hydrogens=3),
    "fluoride": Ligand("F", (ORIGIN,)),
    "chloride": Ligand("Cl", (ORIGIN,)),
    "bromide": Ligand("Br", (ORIGIN,)),
    "cyanide": Ligand("C N", (ORIGIN, (1.15, 0))),
    "carbonyl": Ligand("C O", (ORIGIN, (1.14, 0))),
    "isothiocyanate": Ligand("N C S", (ORIGIN, (1.17, 0), (2.79, 0))),
    "nitrile": Ligand("N C C", (ORIGIN, (1.14, 0), (2.6, 0)), hydrogens=3),
    "alkoxide": Ligand("O C C", (ORIGIN, (0.85, 1.13), (2.3, 0.9)), hydrogens=5),
    "ether": Ligand("O C C", (ORIGIN, (0.8, 1.18), (0.8, -1.18)), hydrogens=6),
    "acetate": Ligand("O C O C", (ORIGIN, (0.8, 1.0), (2.05, 0.95), (0.2, 2.38)), hydrogens=3),
    "sulfate": Ligand("O S O O O", (ORIGIN, (0.95, 1.15), (2.4, 0.9), (0.5, 1.95, 1.2), (0.5, 1.95, -1.2))),
    "pyridine": Ligand("N C C C C C", tuple(_ring(6, 1.38)), hydrogens=5),
    "imidazole": Ligand("N C N C C", tuple(_ring(5, 1.36)), hydrogens=4),
    "thiolate": Ligand("S C C", (ORIGIN, (0.62, 1.71), (2.1, 1.75)), hydrogens=5),
    "phosphine": Ligand("P C C C", (ORIGIN, *_tripod(1.83, 0.62)), hydrogens=9),
    "bipyridine": Ligand("N N" + 10 * " C", _bipyridine(), 2, 8),
    "diamine": Ligand("N N C C", _both((0, 1.36), (1.264, 0.675, 0.35)), 2, 8),
    "acetylacetonate": Ligand("O O C C C C C", (*_both((0, 1.4), (1.25, 1.24), (2, 2.54)), (1.92, 0)), 2, 7),
    "oxalate": Ligand("O O C C O O", _both((0, 1.3), (1.15, 0.77), (2.2, 1.4)), 2, 0),
    "catecholate": Ligand("O O C C C C C C", _both((0, 1.32), (1.18, 0.71), (2.4, 1.39), (3.61, 0.7)), 2, 4),
    "glycinate": Ligand("N O C C O", (*_both((0, 1.33)), (1.32, 0.67), (1.19, -0.85), (2.18, -1.59)), 2, 4),
    "chelating acetate": Ligand("O O C C", (*_both((0, 1.1)), (0.62, 0), (2.13, 0)), 2, 3),
    "dithiocarbamate": Ligand("S S C C N C", (*_both((0, 1.46), (2.96, 1.27)), (2.23, 0), (0.9, 0)), 2, 6),
    "cyclopentadienyl": Ligand("C C C C C", _tripod(1.21, 0, 5), donors=5, hydrogens=5),
}
# Bonds, Å, that tables of crystals do not tell: by ligand; and of nitrogen, which is in nitrides there, by how much
# longer they are than those of oxygen.
BONDS = {"cyanide": (1.85, 2.15), "carbonyl": (1.78, 1.95), "cyclopentadienyl": (2.02, 2.4), "oxide": (1.57, 1.68)}
NITROGEN = (0.03, 0.05)


def _belt(n: int, z: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """So many corners around z."""
    around = 2 * np.pi * np.arange(n) / n + turn
    return np.column_stack([np.cos(around), np.sin(around), np.full(n, z)])


POLES = np.array([(0, 0, 1.0), (0, 0, -1.0)])
POLYHEDRA = {  # how often, and where their corners are; axes along z
    "linear": (0.06, POLES),
    "trigonal": (0.06, _belt(3)),
    "tetrahedron": (0.22, np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])),
    "square": (0.12, _belt(4)),
    "trigonal bipyramid": (0.07, np.vstack([_belt(3), POLES])),
    "square pyramid": (0.09, np.vstack([_belt(4, -0.25), POLES[:1]])),
    "octahedron": (0.3, np.vstack([_belt(4), POLES])),
    "pentagonal bipyramid": (0.04, np.vstack([_belt(5), POLES])),
    "square antiprism": (0.04, np.vstack([_belt(4, 0.6), _belt(4, -0.6, np.pi / 4)])),
}
WITH_RINGS = ("linear", "tetrahedron")  # where cyclopentadienyl has room
WITH_OXIDE, OXIDES = ("Ti", "V", "Cr", "Mn"), 2  # what has double bonds, and how many at most


def distances(config: Config) -> dict[tuple[str, str], np.ndarray]:
    """Of absorber and donor: coordination numbers and mean distances, (n, 2), of clear sites of the spectra tables."""
    donors = {ligand.names[0] for ligand in LIGANDS.values()}
    sites = clear_sites(config).sort_values(table.KEY)
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for absorber, cn, words in zip(sites["absorber"], sites["cn"], sites["neighbours"], strict=True):
        bonds = [word.split(":") for word in words.split()]
        for donor in donors.intersection(symbol for symbol, _ in bonds):
            mean = float(np.mean([float(distance) for symbol, distance in bonds if symbol == donor]))
            found.setdefault((absorber, donor), []).append((cn, mean))
    return {pair: np.array(some) for pair, some in found.items()}


def _bond(absorber: str, kind: str, cn: int, known: dict, rng: np.random.Generator) -> float:
    """A distance that a labelled site has, of this absorber or the nearest, and of this number or the nearest."""
    if kind in BONDS:
        return float(rng.uniform(*BONDS[kind]))
    donor, place, more = LIGANDS[kind].names[0], ELEMENTS.index(absorber), 0.0
    if donor == "N":
        donor, more = "O", rng.normal(*NITROGEN)
    there = [element for element in ELEMENTS if (element, donor) in known]
    if not there:
        raise ConfigError(f"no clear site of [train] tables has {donor} as a neighbour")
    numbers, means = known[min(there, key=lambda element: abs(ELEMENTS.index(element) - place)), donor].T
    off = np.abs(numbers - cn)
    return float(rng.choice(means[off == off.min()]) + more)


def _arms(kinds: list[str], corners: np.ndarray, rng: np.random.Generator) -> list[tuple[str, np.ndarray]] | None:
    """Ligands and the corners that each takes: chelates two that are near each other; none where they do not fit."""
    free, arms = list(rng.permutation(len(corners))), []
    for kind in sorted(kinds, key=lambda kind: -LIGANDS[kind].corners):
        taken = free[:1]
        if LIGANDS[kind].corners == 2:
            pairs = [(i, j) for i in free for j in free if i < j and np.arccos(corners[i] @ corners[j]) < CHELATE]
            taken = list(pairs[rng.integers(len(pairs))]) if pairs else []
        if not taken:
            return None
        free = [i for i in free if i not in taken]
        arms.append((kind, corners[taken]))
    return arms


def _kinds(absorber: str, name: str, n: int, rng: np.random.Generator) -> list[str] | None:
    """Ligands that fill n corners: of one kind, or of two; none where these do not fill them."""
    room = {"cyclopentadienyl": name in WITH_RINGS, "oxide": absorber in WITH_OXIDE}
    every = [kind for kind in LIGANDS if room.get(kind, True)]
    first, second = rng.choice(every, 2, replace=False).tolist()
    size, other = LIGANDS[first].corners, LIGANDS[second].corners
    if rng.random() < ALIKE:
        return [first] * (n // size) if n % size == 0 else None
    counts = [(i, (n - i * size) // other) for i in range(1, (n - 1) // size + 1) if (n - i * size) % other == 0]
    if not counts:
        return None
    i, j = counts[rng.integers(len(counts))]
    return [first] * i + [second] * j


def build_one(absorber: str, number: int, known: dict, rng: np.random.Generator) -> Site:
    """One complex: ligands drawn by lot until they have room, on a polyhedron that is a little crooked."""
    share, _ = zip(*POLYHEDRA.values(), strict=True)
    name = str(rng.choice([*POLYHEDRA], p=np.array(share) / sum(share)))
    for _ in range(TRIES):
        corners = POLYHEDRA[name][1]
        kinds = _kinds(absorber, name, len(corners), rng)
        corners = corners / np.linalg.norm(corners, axis=1, keepdims=True) + rng.normal(0, CROOKED, corners.shape)
        corners /= np.linalg.norm(corners, axis=1, keepdims=True)
        arms = _arms(kinds, corners, rng) if kinds and kinds.count("oxide") <= OXIDES else None
        if arms and (site := _assembled(absorber, number, arms, known, rng)):
            return site
    raise ConfigError(f"no ligands fit around {absorber} in a {name}")


def _assembled(
    absorber: str, number: int, arms: list[tuple[str, np.ndarray]], known: dict, rng: np.random.Generator
) -> Site | None:
    """The complex, where no two ligands are too close."""
    cn = sum(LIGANDS[kind].donors for kind, _ in arms)
    bond = {kind: _bond(absorber, kind, cn, known, rng) for kind in dict.fromkeys(kind for kind, _ in arms)}
    stretch = rng.uniform(*STRETCH) if rng.random() < AXIAL else 1.0
    ways = [corners.sum(0) / np.linalg.norm(corners.sum(0)) for _, corners in arms]
    axis = ways[rng.integers(len(ways))]
    symbols, points, owner, donor = [absorber], [np.zeros((1, 3))], [np.full(1, -1)], [np.zeros(1, bool)]
    for i, ((kind, corners), x) in enumerate(zip(arms, ways, strict=True)):
        ligand = LIGANDS[kind]
        aside = corners[0] - corners[-1] if len(corners) > 1 else rng.normal(size=3)
        y = aside - x * (aside @ x)
        y /= np.linalg.norm(y)
        r = bond[kind] * (1 + rng.normal(0, UNEQUAL)) * (stretch if abs(x @ axis) > 0.9 else 1.0)
        points.append(ligand.place(r) @ np.array([x, y, np.cross(x, y)]))
        symbols += ligand.names
        owner.append(np.full(len(ligand.names), i))
        donor.append(np.arange(len(ligand.names)) < ligand.donors)
    atoms, ligands, donors = np.vstack(points), np.concatenate(owner), np.concatenate(donor)
    apart = cdist(atoms, atoms) + 9.0 * (ligands[:, None] == ligands)
    apart[0] = apart[:, 0] = 9.0  # what is bound to the metal is near it
    behind = np.linalg.norm(atoms[(ligands >= 0) & ~donors], axis=1).min(initial=9.0)
    farthest = np.linalg.norm(atoms[donors], axis=1).max()
    least = np.where(donors[:, None] & donors, DONORS_CLOSE, CLOSE)
    if (apart < least).any() or behind < farthest:
        return None
    hydrogens = sum(LIGANDS[kind].hydrogens for kind, _ in arms)
    bonds = sorted((float(np.linalg.norm(atoms[i])), symbols[i]) for i in np.flatnonzero(donors))
    row = {
        "material_id": f"complex {absorber} {number}",
        "site_index": 0,
        "absorber": absorber,
        "formula": labels.formula_key(Composition("".join(symbols) + (f"H{hydrogens}" if hydrogens else ""))),
        "prototype": COMPLEX + " ".join(sorted(bond)),
        "multiplicity": 1,
        "n_sites": 1,
        "cn": cn,
        "cn_values": [cn],
        "cn_weights": [1.0],
        "neighbours": labels.neighbour_words(bonds),
    }
    return Site(row, boxed(symbols, atoms))


def plan(config: Config) -> Iterator[Site]:
    """All complexes, the same for the same seed and tables."""
    known = distances(config)
    for number in range(config.limit or EACH):
        for place, absorber in enumerate(ELEMENTS):
            yield build_one(absorber, number, known, np.random.default_rng([config.seed, 5, number, place]))


def simulate(config: Config) -> Path:
    """chi(k) of every complex that has none yet, and the table of all, for [train] defects."""
    sites = list(plan(config))
    wanted = ((site.row["material_id"], site.structure, [0]) for site in sites)
    good, failures = table.parted(work.planned(config, "complexes", wanted, SECONDS)[0])
    rows = pa.Table.from_pylist([site.row for site in sites], schema=table.LABEL_SCHEMA)
    have = set(table.key_list(good))
    good = table.take(good, [key for key in table.key_list(rows) if key in have])
    spectra = table.labelled(rows, good)
    return table.finish(config.out / "complexes.parquet", spectra, table.made_with_feff(config), failures)
