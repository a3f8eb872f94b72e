"""Metal particles: their atoms, those of their sites that are distinct, and chi(k) of each from FEFF8L."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.surface import get_symmetrically_equivalent_miller_indices
from scipy.spatial import cKDTree

from build_models.config import Config
from build_models.data import table, work
from larch_cnpredict import reference
from larch_cnpredict.features import ELEMENTS

# Forms that room temperature does not know: Fe as it precipitates in copper, Mn (fcc) extrapolated from its alloys with
# copper, Mn (bcc) shortened as much. Copper and nickel, which are measured most, come twice.
STABLE = {metal: ([metal], *crystal) for metal, crystal in reference.METALS.items()}
METALS = [
    *(STABLE[metal] for metal in ("Sc", "Ti", "V", "Cr")), (["Mn"], "fcc", 3.73, 0), (["Mn"], "bcc", 2.98, 0),
    STABLE["Fe"], (["Fe"], "fcc", 3.59, 0), STABLE["Co"], (["Co"], "fcc", 3.545, 0),
    *[STABLE["Ni"]] * 2, *[STABLE["Cu"]] * 2, (["Zn"], "hcp", 2.665, 4.947),
]  # fmt: skip
ALLOYS = [  # in random occupation; the least and largest share of the second metal
    (["Cu", "Ni"], "fcc", 0.2, 0.8), (["Fe", "Co"], "bcc", 0.2, 0.7), (["Fe", "Ni"], "fcc", 0.3, 0.8),
    (["Cu", "Zn"], "fcc", 0.1, 0.35), (["Cu", "Au"], "fcc", 0.2, 0.8), (["Ni", "Pt"], "fcc", 0.2, 0.8),
    (["Co", "Pt"], "fcc", 0.2, 0.8),
]  # fmt: skip
OTHER_ALLOYS = [  # of which no model learns
    (["Cu", "Pd"], "fcc", 0.2, 0.8), (["Ni", "Pd"], "fcc", 0.2, 0.8), (["Co", "Ni"], "fcc", 0.2, 0.8),
    (["Fe", "Pt"], "fcc", 0.2, 0.8), (["Mn", "Cu"], "fcc", 0.2, 0.8), (["Fe", "Cr"], "bcc", 0.2, 0.8),
    (["Ti", "V"], "bcc", 0.2, 0.8), (["Co", "Pd"], "fcc", 0.2, 0.8), (["Zn", "Au"], "fcc", 0.6, 0.8),
]  # fmt: skip
SHAPES: dict[str, dict[str, dict]] = {  # facets and how far they are from the centre; none: a sphere
    "fcc": {
        "cuboctahedron": {(1, 0, 0): 1.0, (1, 1, 1): 2 / 3**0.5}, "octahedron": {(1, 1, 1): 1.0},
        "truncated octahedron": {(1, 0, 0): 2 / 3**0.5, (1, 1, 1): 1.0}, "icosahedron": {}, "hemisphere": {},
    },
    "bcc": {
        "rhombic dodecahedron": {(1, 1, 0): 1.0}, "truncated rhombic dodecahedron": {(1, 1, 0): 1.0, (1, 0, 0): 1.15},
        "sphere": {}, "hemisphere": {},
    },
    "hcp": {
        "hexagonal prism": {(0, 0, 1): 1.0, (1, 0, 0): 1.1},
        "truncated bipyramid": {(0, 0, 1): 1.0, (1, 0, 0): 1.05, (1, 0, 1): 1.07}, "sphere": {}, "hemisphere": {},
    },
}  # fmt: skip
ON = {"fcc": (1, 1, 1), "bcc": (1, 1, 0), "hcp": (0, 0, -1)}  # what a hemisphere lies on
SIZES = ((13, 80), (81, 350), (351, 1500))  # atoms
ROUNDS, SITES = 8, 12  # particles of every metal and size; sites at most of an absorber in a particle
BULK, BULK_RADIUS = "bulk", 9.0  # Å, of the pieces without a surface: what lies beyond FEFF's cluster is not seen
BLOCK = 10.0  # nearest distances: a sphere that holds every shape of 1,500 atoms
FIRST, OUTER, ALIKE = 1.05, 1.2, 2.05  # nearest distances: for cn, for cn_outer, and in which alike sites are alike
SECONDS = 0.45  # of processor time for a site

SCHEMA = pa.schema(  # and chi_static, chi_debye as in the other tables
    [(name, pa.string()) for name in ("particle", "composition", "lattice", "shape", "absorber")]
    + [
        ("n_atoms", pa.int32()),
        ("site_index", pa.int32()),
        ("weight", pa.float32()),  # atoms of this absorber that the site stands for
        ("cn", pa.int16()),  # neighbours within 1.05 nearest distances of the crystal: bcc 8, zinc 6, the others 12
        ("cn_outer", pa.int16()),  # within 1.2: bcc 8 + 6, zinc 6 + 6, the others as cn
    ]
)


@dataclass(frozen=True)
class Particle:
    """Atoms of an ideal crystal, in units of its nearest distance, and how much they are drawn together."""

    symbols: np.ndarray
    points: np.ndarray
    lattice: str
    shape: str
    nearest: float  # Å, in the crystal
    contraction: float  # of all distances
    surface: float  # shift of an atom towards its neighbours: times the mean of the ways to them

    @property
    def composition(self) -> str:
        counts = sorted(Counter(self.symbols.tolist()).items())
        return "".join(f"{symbol}{n}" for symbol, n in counts) if len(counts) > 1 else counts[0][0]

    @property
    def name(self) -> str:
        numbers = f"{len(self.points)} contraction {self.contraction:.3f} surface {self.surface:.3f}"
        return f"{self.composition} {self.lattice} {self.shape} {numbers}"

    @cached_property
    def pairs(self) -> np.ndarray:
        """Both directions of all pairs of atoms that are near enough to tell sites apart."""
        pairs = cKDTree(self.points).query_pairs(ALIKE, output_type="ndarray")
        return np.concatenate([pairs, pairs[:, ::-1]])

    @cached_property
    def distances(self) -> np.ndarray:
        return np.linalg.norm(np.subtract(*self.points[self.pairs.T]), axis=1)

    def neighbours(self, cutoff: float) -> np.ndarray:
        """How many atoms each has within so many nearest distances."""
        return np.bincount(self.pairs[self.distances < cutoff, 0], minlength=len(self.points))

    @property
    def counted(self) -> np.ndarray:
        """How many neighbours each atom has, as networks learn it."""
        return counted(self.lattice, self.neighbours(FIRST), self.neighbours(OUTER))

    @cached_property
    def environments(self) -> np.ndarray:
        """A number for each atom; atoms with one number have the same elements at the same distances."""
        symbol = np.unique(self.symbols, return_inverse=True)[1]
        shell = np.unique(np.round(self.distances + 1e-3, 2), return_inverse=True)[1]
        column = shell * (symbol.max() + 1) + symbol[self.pairs[:, 1]]
        counts = np.zeros((len(self.points), column.max() + 2), dtype=int)
        np.add.at(counts, (self.pairs[:, 0], column), 1)
        counts[:, -1] = symbol
        return np.unique(counts, axis=0, return_inverse=True)[1].ravel()

    def sites(self, absorber: str, most: int, rng: np.random.Generator) -> dict[int, float]:
        """Sites to calculate, and the atoms each stands for: all distinct ones, or some of each number of neighbours.

        So the mean number over the sites is that of the particle.
        """
        if self.shape == BULK:  # the atom in the middle stands for all
            return {int(np.linalg.norm(self.points, axis=1).argmin()): 1.0}
        atoms = np.flatnonzero(self.symbols == absorber)
        atoms = atoms[np.argsort(self.environments[atoms], kind="stable")]
        _, first, counts = np.unique(self.environments[atoms], return_index=True, return_counts=True)
        if len(first) <= most:
            return dict(zip(atoms[first].tolist(), counts.astype(float).tolist(), strict=True))
        number = self.counted[atoms]
        values, counts = np.unique(number, return_counts=True)
        picked = np.ones(len(values), int)
        while picked.sum() < most:
            picked[(counts / picked).argmax()] += 1
        sites: dict[int, float] = {}
        for value, count, n in zip(values, counts, picked, strict=True):
            chosen = atoms[number == value][((np.arange(n) + rng.random()) * count / n).astype(int)]
            sites |= dict.fromkeys(chosen.tolist(), count / n)
        return sites

    def rows(self, rng: np.random.Generator) -> list[dict]:
        """What the table says of the sites, but for chi(k)."""
        cn, cn_outer = self.neighbours(FIRST).tolist(), self.neighbours(OUTER).tolist()
        said = {"particle": self.name, "composition": self.composition, "lattice": self.lattice, "shape": self.shape}
        return [
            said
            | {"n_atoms": len(self.points), "absorber": absorber, "site_index": i, "weight": weight}
            | {"cn": cn[i], "cn_outer": cn_outer[i]}
            for absorber in sorted(set(self.symbols.tolist()).intersection(ELEMENTS))
            for i, weight in self.sites(absorber, SITES, rng).items()
        ]

    def structure(self) -> Structure:
        """The particle in a box with so much vacuum that FEFF's cluster sees no other one."""
        start, end = self.pairs[self.distances < OUTER].T
        ways = np.zeros_like(self.points)
        np.add.at(ways, start, self.points[end] - self.points[start])
        ways /= np.maximum(self.neighbours(OUTER), 1)[:, None]
        atoms = (self.points + self.surface * ways) * self.nearest * (1 - self.contraction)
        box = Lattice.cubic(np.ptp(atoms, axis=0).max() + 20.0)
        return Structure(box, self.symbols.tolist(), atoms, coords_are_cartesian=True)


def counted(lattice: ArrayLike, cn: ArrayLike, cn_outer: ArrayLike) -> np.ndarray:
    """Neighbours as they are counted in metals, within 1.2 nearest distances; of bcc the nearest eight alone."""
    return np.where(np.asarray(lattice) == "bcc", cn, cn_outer)


@cache
def _unit_cell(lattice: str, ratio: float) -> Structure:
    """A crystal whose nearest distance is 1; ratio: c/a of hcp."""
    if lattice == "hcp":
        a = 1 / min(1.0, (1 / 3 + ratio**2 / 4) ** 0.5)
        cell = Lattice.hexagonal(a, ratio * a)
    else:
        cell = Lattice.cubic({"fcc": 2**0.5, "bcc": 2 / 3**0.5}[lattice])
    return Structure(cell, ["Cu"] * len(reference.BASIS[lattice]), reference.BASIS[lattice])


def _icosahedra() -> tuple[np.ndarray, np.ndarray]:
    """Mackay's icosahedra: points, and the number of the shell each is in; distances are 0.97 and 1.02, around 1."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([np.roll((0, s, t * golden), n) for n in range(3) for s in (1, -1) for t in (1, -1)])
    corners *= 0.97 / np.linalg.norm(corners[0])
    near = cKDTree(corners).query_pairs(1.1)
    faces = [f for f in itertools.combinations(range(12), 3) if near.issuperset(itertools.combinations(f, 2))]
    shells = [np.zeros((1, 3))]
    for n in range(1, 8):
        steps = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
        points = np.concatenate([np.array(steps) @ corners[list(face)] for face in faces])
        shells.append(points[np.unique(np.round(points, 6) + 0.0, axis=0, return_index=True)[1]])
    return np.concatenate(shells), np.repeat(np.arange(8.0), [len(shell) for shell in shells])


@cache
def shape_points(lattice: str, shape: str, ratio: float = 0.0, hole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points of a crystal around an atom or an octahedral hole, and how large the shape must be to hold each."""
    if shape == "icosahedron":
        return _icosahedra()
    crystal = _unit_cell(lattice, ratio)
    center = crystal.lattice.get_cartesian_coords([0.5 if hole else 0.0] * 3)
    around = crystal.lattice.get_points_in_sphere(reference.BASIS[lattice], center, BLOCK, zip_results=False)
    points = crystal.lattice.get_cartesian_coords(np.asarray(around[0])) - center

    def along(indices: list) -> np.ndarray:
        normals = crystal.lattice.reciprocal_lattice_crystallographic.get_cartesian_coords(indices)
        return points @ (normals / np.linalg.norm(normals, axis=1)[:, None]).T

    size = np.linalg.norm(points, axis=1)
    if shape == "hemisphere":
        size = np.where(along([ON[lattice]])[:, 0] > -1e-6, size, np.inf)
    elif facets := SHAPES[lattice][shape]:
        families = [get_symmetrically_equivalent_miller_indices(crystal, hkl, return_hkil=False) for hkl in facets]
        distances = zip(families, facets.values(), strict=True)
        size = np.max([along(family).max(axis=1) / distance for family, distance in distances], axis=0)
    return points, np.round(size, 6)


def cut(points: np.ndarray, size: np.ndarray, fewest: int, most: int, rng: np.random.Generator) -> np.ndarray | None:
    """One of the shapes that have so many atoms; none where there is none."""
    levels, counts = np.unique(size, return_counts=True)
    fitting = levels[(np.cumsum(counts) >= fewest) & (np.cumsum(counts) <= most)]
    return points[size <= rng.choice(fitting)] if len(fitting) else None


def plan(seed: int, others: bool = False) -> Iterator[Particle]:
    """Particles in an order that may stop anywhere: every metal and alloy small, middling, large, and again.

    `others`: of alloys alone that no model learns.
    """
    rng = np.random.default_rng(seed)
    kinds = OTHER_ALLOYS if others else [*METALS, *ALLOYS]
    for fewest, most in SIZES * ROUNDS:
        for number in rng.permutation(len(kinds)):
            metals, lattice, first, second = kinds[number]
            if len(metals) == 1:
                share, ratio = 0.0, second / first
                nearest = first / _unit_cell(lattice, ratio).lattice.a
            else:
                share, ratio = rng.uniform(first, second), 0.0
                # Vegard; with eight neighbours metals are 3 % smaller than with the twelve of these radii
                radius = np.dot([1 - share, share], [Element(metal).metallic_radius for metal in metals])
                nearest = 2 * radius * (0.97 if lattice == "bcc" else 1.0)
            points = None
            while points is None:
                shape = str(rng.choice(list(SHAPES[lattice])))
                hole = shape in ("octahedron", "truncated octahedron") and rng.random() < 0.5
                points = cut(*shape_points(lattice, shape, ratio, hole), fewest, most, rng)
            symbols = np.where(rng.random(len(points)) < share, metals[-1], metals[0])
            contraction, surface = rng.uniform((0, -0.025), (0.03, 0.05))  # a third has no other surface
            yield Particle(symbols, points, lattice, shape, nearest, contraction, max(surface, 0.0))


def bulk() -> Iterator[Particle]:
    """Of every metal a piece that is larger than what FEFF sees of it: a particle without an end."""
    for metals, lattice, first, second in METALS:
        nearest = first / _unit_cell(lattice, second / first).lattice.a
        points = shape_points(lattice, "sphere" if lattice != "fcc" else "cuboctahedron", second / first)[0]
        points = points[np.linalg.norm(points, axis=1) < BULK_RADIUS / nearest]
        yield Particle(np.full(len(points), metals[0]), points, lattice, BULK, nearest, 0.0, 0.0)


def _plan(config: Config) -> list[tuple[Particle, list[dict]]]:
    """Every particle with the rows of its sites."""
    rng = np.random.default_rng([config.seed, 1])
    others = config.run.other_alloys
    # copper and nickel are listed twice; who asks for a few particles wants no bulk
    particles = {} if config.limit and not others else {particle.name: particle for particle in bulk()}
    particles |= {particle.name: particle for particle in itertools.islice(plan(config.seed, others), config.limit)}
    return [(particle, particle.rows(rng)) for particle in particles.values()]


def simulate(config: Config) -> Path:
    """chi(k) of the distinct sites of every particle that has none yet, and the table of all."""
    particles = _plan(config)
    wanted = ((one.name, one.structure(), [row["site_index"] for row in rows]) for one, rows in particles)
    return build(config, particles, work.planned(config, "particles", wanted, SECONDS)[0])


def build(config: Config, particles: list[tuple[Particle, list[dict]]], chi: pa.Table) -> Path:
    """Write `particles.parquet`: the particles that are done as a whole. Sites that failed leave theirs out."""
    good, failures = table.parted(chi)
    done = set(table.key_list(good))
    rows = []
    for particle, sites in particles:
        if done.issuperset((particle.name, site["site_index"]) for site in sites):
            rows += sites
    good = table.take(good, [(row["particle"], row["site_index"]) for row in rows])
    spectra = table.with_chi(pa.Table.from_pylist(rows, schema=SCHEMA), good)
    words = f" of {pc.count_distinct(spectra['particle'])} particles"
    return table.finish(config.out / "particles.parquet", spectra, table.made_with_feff(config), failures, words)
