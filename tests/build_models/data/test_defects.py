"""Vacancies, supports, dopants and sheets: their atoms, and their spectra by the real FEFF8L."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Composition, Lattice, Structure

from build_models import config
from build_models.data import defects, feff, labels, structures, table, work
from build_models.spectra import dataset
from larch_cnpredict import features
from larch_cnpredict.features import ELEMENTS
from tests.build_models.crystals import crystals

NIO = "mp-19009"


@pytest.fixture(scope="module")
def parent() -> dict:
    return next(row for row in labels.label_structure(NIO, crystals()[NIO]) if row["absorber"] == "Ni")


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> config.Config:
    """Tables of two crystals: rock salt, and iron, which is a metal and no parent."""
    out = tmp_path_factory.mktemp("defects")
    rows = [row for name in (NIO, "mp-13") for row in labels.label_structure(name, crystals()[name])]
    empty = {"chi_static": np.zeros(361, np.float16), "chi_debye": np.zeros(5 * 361, np.float16)}
    spectra = pa.Table.from_pylist([row | empty for row in rows if row["reason"] == ""], schema=table.SCHEMA)
    table.write(out / "spectra.parquet", spectra, {})
    cells = [structures.to_row(name, crystals()[name]) for name in (NIO, "mp-13")]
    table.write(out / "structures.parquet", pa.Table.from_pylist(cells, schema=structures.SCHEMA), {})
    return config.load(None, {"run": {"out": str(out), "workers": 1, "limit": 1}})


def test_a_site_that_was_planned_is_known_by_its_atoms(settings, monkeypatch, capsys):
    def spectra(config, stage, sites, total):
        done = [
            table.failure(row["material_id"], "", i) | {"chi_static": row["cell"][:1]}
            for row, todo in sites
            for i in todo
        ]
        table.write_shard(config.out / stage, done, table.CHI_SCHEMA, {})

    monkeypatch.setattr(work, "spectra", spectra)
    for edge, count in ((4.0, 1), (5.0, 1), (4.0, 0)):  # another seed, and the first one again
        one = Structure(Lattice.cubic(edge), ["Fe"], [[0, 0, 0]])
        chi, _ = work.planned(settings, "known by its atoms", [("one", one, [0])], 1.0)
        assert table.key_list(chi) == [("one", 0)]
        assert chi["chi_static"].to_pylist() == [[edge]]
        assert f"1 sites, {count} of them to be done" in capsys.readouterr().out


def test_what_is_drawn_for_a_site_does_not_depend_on_the_others(settings, monkeypatch):
    alone = defects.parents(settings)
    planned = []
    for chosen in (alone, pd.concat([alone.assign(material_id="mp-13"), alone])):
        monkeypatch.setattr(defects, "parents", lambda _, chosen=chosen: chosen)
        sites = {site.row["material_id"]: site.structure for site in defects.plan(settings)}
        name = f"{NIO} dopant at {alone['site_index'].iloc[0]}"
        planned.append(structures.named(structures.to_row(name, sites[name])))
    assert planned[0] == planned[1]


def test_the_elements_that_are_told_are_those_that_are_there(parent):
    changed = 0
    for seed in range(20):
        site = defects._of_crystal(parent, crystals()[NIO], 5.0, np.random.default_rng(seed))
        told = {element.symbol for element in Composition(site.row["formula"])}
        assert told == {one.specie.symbol for one in site.structure}
        assert site.row["prototype"] == parent["prototype"]  # it is held out with its crystal all the same
        changed += site.row["formula"] != "NiO"
    assert 0 < changed < 20


def peaks(row: dict) -> tuple[float, float]:
    """Heights of |chi(R)| of the six oxygen atoms, at 2.09 Å, and of the twelve of nickel, at 2.96 Å."""
    chi, every = np.asarray(row["chi_static"], float)[None], np.array([12.0])
    magnitude = np.abs(features.chir(chi, features.windows(every, every), 2))[0]
    r = features.larch_r()
    first, second = (magnitude[(r > low) & (r < high)].max() for low, high in ((1.2, 2.0), (2.3, 3.0)))
    return float(first), float(second)


@pytest.mark.feff
def test_what_is_left_out_is_missing_in_the_spectrum(parent, settings):
    scattering = feff.run_paths(crystals()[NIO], parent["site_index"], settings.feff)
    whole, vacancy, support = defects.of_paths(parent, scattering, settings, np.random.default_rng(0))
    assert [row["cn"] for row in (whole, support)] == [6, 6]
    n = vacancy["cn"]
    assert n in (4, 5)
    assert len(vacancy["neighbours"].split()) == n
    first, second = peaks(whole)
    assert peaks(vacancy)[0] == pytest.approx(n / 6 * first, rel=0.03)
    cut = cut_closely(settings, parent, scattering)
    assert peaks(cut)[1] < 0.15 * second
    # the nickel shell's foot, without damping, lies under the first peak
    assert peaks(cut)[0] == pytest.approx(first, rel=0.25)


def cut_closely(settings, parent, scattering) -> dict:
    """The support of which nothing behind the first shell is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defects, "BEHIND", 0.06)
        return defects.of_paths(parent, scattering, settings, np.random.default_rng(0))[2]


@pytest.mark.feff
def test_atoms_that_the_label_does_not_tell_apart_make_no_row(parent, settings):
    scattering = feff.run_paths(crystals()[NIO], parent["site_index"], settings.feff)
    five = parent | {"cn": 5, "neighbours": " ".join(parent["neighbours"].split()[:5])}
    assert defects.of_paths(five, scattering, settings, np.random.default_rng(0)) == []


def test_sheets_are_as_in_phthalocyanines():
    numbers = set()
    for number in range(60):
        site = defects._of_sheet("Fe", number, 7.1, np.random.default_rng(number))
        points, symbols = site.structure.cart_coords, [s.symbol for s in site.structure.species]
        away = np.linalg.norm(points - points[0], axis=1)
        bonds = [word.split(":") for word in site.row["neighbours"].split()]
        assert symbols[0] == "Fe"
        assert len(bonds) == site.row["cn"] == ((away > 0) & (away < 2.56)).sum()
        assert all(1.74 < float(d) < (2.51 if symbol == "Cl" else 2.16) for symbol, d in bonds)
        apart = site.structure.distance_matrix + 9 * np.eye(len(points))
        assert apart.min() > 1.2  # no atom in another
        numbers.add(site.row["cn"])
    assert numbers == {3, 4, 5, 6}


def test_a_dopant_stands_where_the_absorber_stood(parent):
    made = [defects._of_crystal(parent, crystals()[NIO], 7.1, np.random.default_rng(i)) for i in range(40)]
    absorbers = [site.row["absorber"] for site in made]
    assert absorbers == [site.structure[0].specie.symbol for site in made]
    assert set(absorbers) == {"Fe", "Co", "Ni", "Cu", "Zn"}
    assert 0.3 < np.mean([absorber != "Ni" for absorber in absorbers]) < 0.7
    shares = []
    for site in made:
        symbols = [s.symbol for s in site.structure.species][1:]
        metals = [symbol for symbol in symbols if symbol != "O"]
        assert set(metals) <= set(ELEMENTS)
        shares.append(np.mean([symbol != "Ni" for symbol in metals]))
    assert 0 <= min(shares) < 0.1 < max(shares) < 0.6


@pytest.mark.feff
def test_the_stage_makes_a_table_and_goes_on_where_it_was(settings, capsys):
    path = defects.simulate(settings)
    assert "11 sites, 11 of them to be done" in capsys.readouterr().out
    rows = pq.read_table(path).to_pylist()
    assert sorted({row["material_id"].split(" ")[0] for row in rows}) == [NIO, "sheet"]
    assert len(rows) == 33
    read = dataset.load([path])
    assert read.trainable.all()
    assert (read.weight == 1).all()
    assert defects.simulate(settings) == path
    assert "11 sites, 0 of them to be done" in capsys.readouterr().out
    assert pq.read_table(path).equals(pa.Table.from_pylist(rows, schema=table.SCHEMA))
    table.write(settings.out / "metal.parquet", pq.read_table(settings.out / "spectra.parquet").slice(1), {})
    train = replace(settings.train, tables=(str(settings.out / "metal.parquet"),))
    with pytest.raises(config.ConfigError, match="no metal beside it"):
        next(defects.plan(replace(settings, train=train)))


def test_no_cluster_sees_another():
    cluster = defects.boxed(["Fe", "O"], np.array([(0, 0, 0), (0, 0, 2.0)]))
    assert cluster.lattice.a - 2 > config.FeffSettings().cluster_radius


def test_sites_are_parents_where_their_number_is_clear(tmp_path):
    row = {"site_index": 0, "absorber": "Fe", "formula": "FeO", "cn": 6, "cn_values": [6, 5], "neighbours": "O:2.0"}
    rows = [row | {"material_id": f"mp-{i}", "cn_weights": [p, 1 - p]} for i, p in enumerate((0.9, 0.7))]
    table.write(tmp_path / "t.parquet", pa.Table.from_pylist(rows, schema=table.SCHEMA), {})
    found = defects.clear_sites(SimpleNamespace(tables=[tmp_path / "t.parquet"]))
    assert found["material_id"].tolist() == ["mp-0"]


def test_chlorine_upon_a_sheet_is_farther_than_oxygen():
    bonds = [word.split(":") for i in range(60) for word in
             defects._of_sheet("Fe", i, 7.1, np.random.default_rng(i)).row["neighbours"].split()]  # fmt: skip
    chlorine = [float(d) for symbol, d in bonds if symbol == "Cl"]
    assert 2.09 < min(chlorine) < max(chlorine) < 2.51
