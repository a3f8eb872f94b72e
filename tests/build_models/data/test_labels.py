"""Coordination numbers and the keys that hold crystals together."""

import pytest
from pymatgen.core import Composition, Lattice, Structure

from build_models.data import labels
from build_models.data.labels import formula_key, label_structure
from tests.build_models.crystals import crystals


def test_textbook_coordination_numbers():
    found = {name: [row["cn"] for row in label_structure(name, crystal)] for name, crystal in crystals().items()}
    assert found["mp-30"] == [12]
    assert found["mp-19009"] == [6]
    assert found["mp-2657"] == [6]
    assert sorted(found["mp-18748"]) == [4, 6]


def test_a_row_holds_the_whole_distribution_and_the_neighbours():
    tetrahedral, octahedral = sorted(label_structure("x", crystals()["mp-18748"]), key=lambda row: row["cn"])
    assert (tetrahedral["multiplicity"], octahedral["multiplicity"], tetrahedral["n_sites"]) == (2, 4, 14)
    assert octahedral["formula"] == "Fe3O4"
    assert tetrahedral["neighbours"] == "O:1.891 O:1.891 O:1.891 O:1.891"
    assert sum(octahedral["cn_weights"]) == pytest.approx(1, abs=0.01)
    assert len(octahedral["cn_weights"]) == len(octahedral["cn_values"])


def test_a_doubled_cell_needs_one_run():
    rows = label_structure("x", crystals()["mp-19009"] * (2, 1, 1))
    assert [row["multiplicity"] for row in rows] == [8]


def test_a_site_that_crystalnn_cannot_do_is_a_row_with_the_reason():
    (row,) = label_structure("x", Structure(Lattice.cubic(60), ["Fe"], [[0, 0, 0]]))
    assert "cn" not in row
    assert row["reason"].startswith("CrystalNN: ")


def test_one_formula_has_one_name():
    lattice, places = Lattice.cubic(9), [[i / 20] * 3 for i in range(12)]
    assert formula_key(Structure(lattice, [*["Nd"], *["Co"] * 2, *["Ga"] * 9], places).composition) == "NdGa9Co2"
    assert formula_key(Structure(lattice, ["Fe"] * 12, places).composition) == "Fe"
    assert formula_key(Composition("Zn(NiO2)2")) == formula_key(Composition("ZnNi2O4"))


def type_of(crystal: Structure) -> str:
    (row, *_) = label_structure("x", crystal)
    return row["prototype"]


def test_isostructural_crystals_share_a_prototype_and_polymorphs_do_not():
    nickel_oxide = crystals()["mp-19009"]
    warm = nickel_oxide.copy().replace_species({"Ni": "Mn"}).scale_lattice(nickel_oxide.volume * 1.2)
    warm = (warm * (2, 1, 1)).perturb(0.02, seed=1)
    assert type_of(nickel_oxide) == type_of(nickel_oxide * (2, 1, 1)) == type_of(warm) == "AB Fm-3m (225)"
    assert type_of(crystals()["mp-2657"]) == "AB2 P4_2/mnm (136)"
    assert type_of(crystals()["mp-30"]) != type_of(crystals()["mp-13"])


def test_prototypes_of_a_table_are_those_of_its_structures(structure_table):
    keys = labels.prototypes([structure_table], [*crystals(), "mp-30", "not there"])
    assert keys == {name: type_of(crystal) for name, crystal in crystals().items()}
