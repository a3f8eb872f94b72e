"""Shells of known sites: textbook crystals, and how often shells are said rightly."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from build_models.learn import shells
from tests.build_models.crystals import crystals

ZINC = Structure(Lattice.hexagonal(2.665, 4.947), ["Zn", "Zn"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
TENORITE = Structure.from_spacegroup(
    "C2/c", Lattice.monoclinic(4.684, 3.423, 5.129, 99.54), ["Cu", "O"], [[0.25, 0.25, 0], [0, 0.4184, 0.25]]
)
OCTAHEDRON = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
HYDRIDE = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), ["Ni", "H"], [[0] * 3, [0.5] * 3])
CARBON = [0.35, 0.35, 0.35]


def octahedron(c: float, *others: str) -> Structure:
    """A tetragonal ReO3 with two longer bonds, c / 2."""
    return Structure(Lattice.tetragonal(3.9, c), ["Cu", "O", "O", "O", *others], [*OCTAHEDRON, *[CARBON] * len(others)])


@pytest.mark.parametrize(
    ("crystal", "named", "counts", "distances"),
    [
        (crystals()["mp-13"], "Fe8", [8, 6], [2.485, 2.87]),
        (Structure(Lattice.cubic(2.86), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]), "Al8", [8, 6], [2.477, 2.86]),
        (ZINC, "Zn12", [6, 6], [2.665, 2.913]),
        (crystals()["mp-30"], "Cu12", [12, 0], [2.553, 0]),
        (octahedron(4.7), "O6", [4, 2], [1.95, 2.35]),
        (octahedron(4.1), "O6", [6, 0], [1.983, 0]),  # two peaks, but EXAFS does not resolve them
        (octahedron(5.6), "O6", [4, 0], [1.95, 0]),  # the two are as far off as a second shell
        (octahedron(3.9, "C"), "O6", [6, 0], [1.95, 0]),  # carbon at 2.36 Å is beyond the oxygen
        (TENORITE, "O4", [4, 0], [1.956, 0]),
        (HYDRIDE, "H6", [0, 0], [0, 0]),
        (Structure(Lattice.cubic(20), ["Fe", "O"], [[0, 0, 0], [0.1, 0, 0]]), "O1", [1, 0], [2, 0]),
    ],
    ids=["iron", "FeAl", "zinc", "copper", "4+2", "unresolved", "far", "carbon", "tenorite", "hydride", "molecule"],
)
def test_textbook_crystals(crystal, named, counts, distances):
    found = shells.count(crystal, 0, named)
    assert found[0].tolist() == counts
    assert found[1] == pytest.approx(distances, abs=2e-3)


def test_any_site_of_a_crystal_but_the_first_is_none_of_its_own_neighbours():
    assert shells.count(ZINC, 1, "Zn12").tolist() == pytest.approx(shells.count(ZINC, 0, "Zn12"))


def test_the_index_by_the_tables_of_its_crystals(structure_table: Path):
    sites, named = ["mp-30 site 3", "mp-1 site 0", "mp-13 site 0"], ["Cu12", "O6", "Fe8"]
    found = shells.of_index({"site": np.array(sites), "shell": np.array(named)}, [structure_table])
    assert found["shell_counts"].tolist() == [[12, 0], [0, 0], [8, 6]]
    assert found["shell_counts"].dtype == np.int8
    assert found["shell_distances"][2] == pytest.approx([2.485, 2.87], abs=2e-3)


def known(*formulas: str) -> dict[str, np.ndarray]:
    """The index of sites of these formulas, one beside the other, all with eight neighbours in 8 + 6."""
    n = len(formulas)
    return {
        "index": np.arange(float(n))[:, None] * np.ones((1, 24)),
        "element": np.zeros(n, np.int8),
        "cn": np.full(n, 8, np.int8),
        "site": np.array([f"mp-{i} site 0" for i in range(n)]),
        "formula": np.array(formulas),
        "shell_counts": np.array([[8, 6]] * n, np.int8),
        "shell_distances": np.ones((n, 2), np.float16),
    }


def test_a_site_is_not_known_by_others_of_its_formula():
    arrays = known("Fe3Al", "Fe3Al", "FeCo", "Fe3Co", "Fe3Si", "FeAl")
    assert shells.held_out(arrays) == {"sites": 6, "said": 4, "right": 4}  # of Fe3Al four others are known: too few
    arrays["shell_counts"][5] = 8, 0
    assert shells.held_out(arrays) == {"sites": 6, "said": 1, "right": 0}


def around(*oxygen: tuple[float, float, float]) -> Structure:
    return Structure(Lattice.cubic(20), ["Cu", *["O"] * len(oxygen)], [(0, 0, 0), *oxygen], coords_are_cartesian=True)


def test_a_second_shell_is_near_the_mean_of_the_first():
    site = around(*[(1.95 * s, 0, 0) for s in (1, -1)], *[(0, 1.95 * s, 0) for s in (1, -1)],
                  *[(0, 0, 2.05 * s) for s in (1, -1)], *[(0, 1.74 * s, 1.74) for s in (1, -1)])  # fmt: skip
    assert shells.count(site, 0, "O8")[0].tolist() == [6, 2]


def test_metals_count_among_metalloids():
    silicide = Structure(Lattice.cubic(2.81), ["Fe", "Si"], [[0, 0, 0], [0.5] * 3])
    assert shells.count(silicide, 0, "Si8")[0].tolist() == [8, 6]


def test_each_number_is_asked_for_itself():
    six = known("Fe3Al", "Fe3Si", "FeCo", "Fe3Co", "FeSi", "FeAl")
    four = six | {"cn": np.full(6, 4, np.int8), "shell_counts": np.array([[4, 2]] * 6, np.int8)}
    both = {name: np.concatenate([six[name], four[name]]) for name in six}
    assert shells.held_out(both) == {"sites": 12, "said": 12, "right": 12}
