"""Complexes: what is bound to the metal and what is behind, and their spectra by the real FEFF8L."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Composition
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from build_models import config
from build_models.data import complexes, labels, table
from build_models.data.complexes import BONDS, DONORS_CLOSE, LIGANDS, POLYHEDRA
from build_models.spectra import dataset
from larch_cnpredict.features import ELEMENTS
from tests.build_models.crystals import crystals

DONORS = {ligand.names[0] for ligand in LIGANDS.values()} - {"C", "N"}
SHORT, LONG = np.array([[4, 1.9], [6, 2.1]]), np.array([[4, 2.2], [6, 2.4]])
OCTAHEDRON = POLYHEDRA["octahedron"][1]
KNOWN = {("Fe", donor): SHORT if donor in ("O", "F") else LONG for donor in DONORS}


@pytest.fixture(scope="module")
def made() -> list[complexes.Site]:
    return [complexes.build_one(ELEMENTS[i % 10], i, KNOWN, np.random.default_rng(i)) for i in range(400)]


def test_atoms_of_a_ligand_are_bound_to_each_other_and_to_nothing_else(made):
    for name, ligand in LIGANDS.items():
        points = ligand.place(2.0)
        assert np.linalg.norm(points[: ligand.donors], axis=1) == pytest.approx(2.0), name
        assert len(points) == len(ligand.names)
        if len(points) > 1:
            apart = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(len(points))
            assert ((apart.min(1) > 1.1) & (apart.min(1) < 1.85)).all(), name
    for site in made:
        apart = site.structure.distance_matrix + 9 * np.eye(len(site.structure))
        assert apart.min() > 1.1, site.row


def test_each_ligand_is_one_piece_with_bonds_as_in_textbooks():
    def bonds(name: str, far: float = 1.95) -> dict[str, list[float]]:
        ligand, found = LIGANDS[name], {}
        apart = squareform(pdist(ligand.place(2.0)))
        assert connected_components(apart < far)[0] == 1, name
        for i, j in np.argwhere(np.triu((apart > 0) & (apart < far))):
            found.setdefault("".join(sorted(ligand.names[i] + ligand.names[j])), []).append(apart[i, j])
        return found

    every = {name: bonds(name) for name, ligand in LIGANDS.items() if len(ligand.names) > 1}
    rings = sorted(every["bipyridine"]["CC"])
    assert rings == pytest.approx([1.39] * 8 + [1.49], abs=0.005)  # the last one joins them
    assert every["bipyridine"]["CN"] == pytest.approx([1.39] * 4)
    assert every["diamine"] == {"CC": [pytest.approx(1.52, abs=0.01)], "CN": pytest.approx([1.48] * 2, abs=0.01)}
    amino = {"CN": [1.47], "CC": [1.52], "CO": [1.28, 1.24]}
    assert every["glycinate"] == {pair: pytest.approx(lengths, abs=0.015) for pair, lengths in amino.items()}


def test_neighbours_are_the_donors_and_all_else_is_farther(made):
    for site in made:
        structure, row = site.structure, site.row
        away = structure.distance_matrix[0][1:]
        bonds = [(symbol, float(d)) for symbol, d in (word.split(":") for word in row["neighbours"].split())]
        assert row["cn"] == len(bonds) == sum(row["cn_values"])
        np.testing.assert_allclose(np.sort(away)[: row["cn"]], [d for _, d in bonds], atol=6e-4)
        kinds = [name for name in LIGANDS if re.search(rf"(?<!chelating )\b{name}\b", row["prototype"])]
        assert {symbol for symbol, _ in bonds} == {s for k in kinds for s in LIGANDS[k].names[: LIGANDS[k].donors]}
        if not {"oxide", *BONDS} & set(kinds):
            assert all(1.7 < d < 2.8 for _, d in bonds), row
        nearest = np.argsort(away)[: row["cn"]] + 1
        between = structure.distance_matrix[np.ix_(nearest, nearest)] + 9 * np.eye(len(nearest))
        assert "cyclopentadienyl" in kinds or between.min() > DONORS_CLOSE - 1e-3
    assert {site.row["cn"] for site in made} >= {2, 3, 4, 5, 6, 7, 8}
    assert len({site.row["prototype"] for site in made}) > 150


def test_hydrogen_is_in_the_formula_and_not_among_the_atoms(made):
    wet = 0
    for site in made:
        composition = Composition(site.row["formula"])
        heavy = {symbol: n for symbol, n in composition.items() if symbol.symbol != "H"}
        assert site.structure.composition.reduced_composition == Composition(heavy).reduced_composition
        wet += site.row["prototype"] == "complex water"
        if site.row["prototype"] == "complex water":
            assert composition["H"] == 2 * composition["O"]
    assert wet


def test_bonds_are_those_of_the_labelled_site_that_is_nearest():
    rng = np.random.default_rng(0)
    assert complexes._bond("Fe", "water", 6, KNOWN, rng) == complexes._bond("Cu", "water", 7, KNOWN, rng) == 2.1
    assert complexes._bond("Fe", "chloride", 3, KNOWN, rng) == pytest.approx(2.2)
    nitrogen = [complexes._bond("Fe", "pyridine", 6, KNOWN, rng) for _ in range(200)]
    assert np.mean(nitrogen) == pytest.approx(2.13, abs=0.015)
    with pytest.raises(config.ConfigError, match=r"no clear site .* has O as a neighbour"):
        complexes._bond("Fe", "water", 6, {("Fe", "S"): KNOWN["Fe", "S"]}, rng)


@pytest.mark.feff
def test_the_stage_makes_a_table_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(complexes, "LIGANDS", {name: LIGANDS[name] for name in ("water", "pyridine", "bipyridine")})
    rows = labels.label_structure("mp-19009", crystals()["mp-19009"])
    empty = {"chi_static": np.zeros(361, np.float16), "chi_debye": np.zeros(5 * 361, np.float16)}
    table.write(tmp_path / "spectra.parquet", pa.Table.from_pylist([rows[0] | empty], schema=table.SCHEMA), {})
    settings = config.load(None, {"run": {"out": str(tmp_path), "workers": 1, "limit": 1}})
    path = complexes.simulate(settings)
    assert "10 sites, 10 of them to be done" in capsys.readouterr().out
    first = pq.read_table(path)
    read = dataset.load([path])
    assert sorted(read.elements) == sorted(ELEMENTS)
    assert read.trainable.all()
    assert (read.weight == 1).all()
    assert read.made_up.all()
    assert complexes.simulate(settings) == path
    assert "10 sites, 0 of them to be done" in capsys.readouterr().out
    assert pq.read_table(path).equals(first)
    assert next(complexes.plan(settings)).row["material_id"] == "complex Sc 0"


def test_chelates_take_corners_that_are_near_each_other():
    for i in range(50):
        for _, taken in complexes._arms(["diamine"] * 2 + ["water"] * 2, OCTAHEDRON, np.random.default_rng(i)) or []:
            assert len(taken) == 1 or taken[0] @ taken[1] == pytest.approx(0)


def test_corners_of_polyhedra_keep_apart():
    for name, (_, corners) in POLYHEDRA.items():
        corners = corners / np.linalg.norm(corners, axis=1, keepdims=True)
        cosines = corners @ corners.T - 3 * np.eye(len(corners))
        assert np.degrees(np.arccos(cosines.max())) > (80 if len(corners) < 7 else 71), name


def test_an_axis_of_its_own_is_that_of_any_arm(monkeypatch):
    for name, value in (("AXIAL", 1.0), ("STRETCH", (1.2, 1.2)), ("UNEQUAL", 0.0)):
        monkeypatch.setattr(complexes, name, value)
    longest = set()
    for i in range(20):
        arms = [("water", corner[None]) for corner in OCTAHEDRON]
        away = complexes._assembled("Fe", 0, arms, KNOWN, np.random.default_rng(i)).structure.distance_matrix[0][1:]
        assert np.sort(away) == pytest.approx([2.1] * 4 + [1.2 * 2.1] * 2)
        longest.add(tuple(np.flatnonzero(away > 2.3)))
    assert longest == {(0, 2), (1, 3), (4, 5)}
    arms = [("water", corner[None]) for corner in POLYHEDRA["trigonal"][1]]  # of which none is along z
    away = complexes._assembled("Fe", 0, arms, KNOWN, np.random.default_rng(0)).structure.distance_matrix[0][1:]
    assert np.sort(away) == pytest.approx([1.9] * 2 + [1.2 * 1.9])


def test_ligands_keep_apart():
    found = 0
    for i in range(400):
        rng = np.random.default_rng(i)
        arms = complexes._arms(complexes._kinds("Fe", "octahedron", 6, rng) or [], OCTAHEDRON, rng)
        site = complexes._assembled("Fe", i, arms, KNOWN, rng) if arms else None
        if site is not None:
            sizes, donors = zip(*((len(LIGANDS[kind].names), LIGANDS[kind].donors) for kind, _ in arms), strict=True)
            owner, donor = (
                np.repeat(range(len(arms)), sizes),
                np.concatenate([np.arange(n) < d for n, d in zip(sizes, donors, strict=False)]),
            )
            apart = site.structure.distance_matrix[1:, 1:] + 9 * (owner[:, None] == owner)
            assert apart.min() > 1.9
            assert (apart + 9 * ~(donor[:, None] & donor)).min() > 2.1
            found += 1
    assert found > 50


def test_distances_are_those_of_the_donor_alone(monkeypatch):
    row = {"material_id": "mp-1", "site_index": 0, "absorber": "Fe", "cn": 4, "neighbours": "O:1.9 O:2.0 Cl:2.3 Cl:2.3"}
    monkeypatch.setattr(complexes, "clear_sites", lambda _: pd.DataFrame([row]))
    found = {pair: some.tolist() for pair, some in complexes.distances(None).items()}
    assert found == {("Fe", "O"): [[4, pytest.approx(1.95)]], ("Fe", "Cl"): [[4, pytest.approx(2.3)]]}
