"""The table as arrays, on a small table of real FEFF8L spectra."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build_models.config import ConfigError
from build_models.data import table
from build_models.spectra import dataset, samples
from larch_cnpredict import features
from larch_cnpredict.features import K_GRID


@pytest.mark.feff
def test_the_table_as_arrays(data):
    assert data.variants.shape == (len(data), 6, len(features.K_GRID))
    np.testing.assert_allclose(data.labels.sum(1), 1, atol=1e-5)
    iron = data.formulas == "Fe3O4"
    assert set(data.cn[iron]) == {4, 6}
    assert set(data.shell[iron]) == {"O4", "O6"}


@pytest.mark.feff
def test_one_formula_does_not_fill_the_table(data, spectra_table, tmp_path):
    rows = pq.read_table(spectra_table)
    more = []
    for i in range(dataset.MOST_ALIKE + 3):
        ids = pa.array([f"{name}-{i}" for name in rows["material_id"].to_pylist()])
        path = tmp_path / f"{i}.parquet"
        pq.write_table(rows.set_column(rows.schema.get_field_index("material_id"), "material_id", ids), path)
        more.append(path)
    many = dataset.load([*more, more[0]])  # a site that two tables hold is there once
    assert len(many) == dataset.MOST_ALIKE * len(data)
    assert sorted(set(zip(many.formulas, many.cn, strict=True))) == sorted(zip(data.formulas, data.cn, strict=True))


def test_folds_hold_whole_formulas_out():
    keys = np.array(["FeO", "Fe2O3", "FeO", "NiO", "Fe2O3", "CuO", "ZnO"] * 5)
    fold = dataset.folds(keys, 3, seed=0)
    for key in set(keys):
        assert len(set(fold[keys == key])) == 1
    assert set(fold) == {0, 1, 2}


@pytest.mark.feff
def test_a_table_with_a_chi_that_is_no_number_is_refused(spectra_table, tmp_path):
    rows = pq.read_table(spectra_table)
    chi = np.stack(rows["chi_static"].to_numpy())
    chi[-1, 200] = np.inf
    place = rows.schema.get_field_index("chi_static")
    bad = rows.set_column(place, rows.schema.field(place), pa.array(list(chi), rows.schema.field(place).type))
    pq.write_table(bad, tmp_path / "bad.parquet")
    with pytest.raises(ConfigError, match=r"bad\.parquet has chi"):
        dataset.load([tmp_path / "bad.parquet"])


ROW = {
    "site_index": 0, "absorber": "Fe", "formula": "FeOF", "prototype": "", "multiplicity": 1, "n_sites": 3, "cn": 4,
    "cn_values": [4, 6, 17], "cn_weights": [0.6, 0.2, 0.2], "neighbours": "O:1.900 F:1.950 O:2.000 F:2.100",
    "chi_static": np.sin(4 * K_GRID).astype(np.float16), "chi_debye": [],
}  # fmt: skip


def write(path, *rows: dict, **said: str):
    table.write(path, pa.Table.from_pylist([ROW | row for row in rows], schema=table.SCHEMA), said)
    return path


def test_a_table_without_a_site_is_said(tmp_path):
    with pytest.raises(ConfigError, match="a has no site: it is empty"):
        dataset.load([write(tmp_path / "a")])


def test_metals_at_other_temperatures_than_they_are_taken_for_are_refused(tmp_path):
    metal = {"material_id": "mp-1", "neighbours": "Fe:2.5 Fe:2.6"}
    own, other = "200 300 450 650 1000", "100 300 450 650 1000"
    for said in ({"theta_debye_K": other, "T_K": "300"}, {"theta_debye_K": own, "T_K": "77"}):
        path = write(tmp_path / "a", metal, **said)
        words = f"a has metals with Debye temperatures of {said['theta_debye_K']} K at {said['T_K']} K; training needs"
        for ask in (lambda path=path: dataset.load([path]), lambda path=path: samples.read_particles(path)):
            with pytest.raises(ConfigError, match=words):
                ask()
        assert len(dataset.load([write(tmp_path / "b", {"material_id": "mp-1"}, **said)]))  # no metal
    for said in ({}, {"theta_debye_K": "", "T_K": "77"}, {"theta_debye_K": own, "T_K": "300"}):
        assert len(dataset.load([write(tmp_path / "a", metal, **said)]))


def test_a_table_without_debye_variants_by_hand(tmp_path):
    first = write(tmp_path / "a", {"material_id": "mp-1"}, {"material_id": "mp-2", "neighbours": "Fe:2.5 O:2.6"})
    again = write(
        tmp_path / "b", {"material_id": "mp-1", "cn": 6}, {"material_id": "mp-3", "neighbours": "Fe:2.5 Al:2.6"}
    )
    single = write(tmp_path / "c", {"material_id": "mp-4"})
    read = dataset.load([first], extra=[again], single=[single])
    assert read.sites.tolist() == [f"mp-{i} site 0" for i in (1, 2, 3, 4)]
    assert read.cn.tolist() == [4, 4, 4, 4]  # a site that two tables hold is that of the first
    assert (read.extra.tolist(), read.single.tolist()) == ([False] * 2 + [True] * 2, [False] * 3 + [True])
    assert read.labels[0, [3, 5]] == pytest.approx([0.75, 0.25])  # 17 is no class
    assert read.weight[0] == pytest.approx(0.6)
    assert (read.shell[0], read.shell_end[0]) == ("O2 F2", 2.1)
    assert read.metallic.tolist() == [False, False, True, False]
    mixing = read.mixing_groups
    assert (mixing[0] == mixing[3], mixing[1] == mixing[2], mixing[0] == mixing[1]) == (True, True, False)
    damped = [np.sin(4 * K_GRID) * np.exp(-2 * sigma2 * K_GRID**2) for sigma2 in (0, 0.012, 0.009, 0.006, 0.004, 0.002)]
    np.testing.assert_allclose(read.variants[0], damped, atol=1e-3)
    moved = dataset.load(
        [write(tmp_path / "d", {"material_id": "mp-1"}, {"material_id": "mp-2", "neighbours": "Fe:2.5 O:2.6"})]
    )
    assert moved.digest == dataset.load([first]).digest != read.digest


def test_extra_rows_change_no_fold_but_follow_their_key():
    keys = np.array([f"type {i % 7}" for i in range(30)])
    alone = dataset.folds(keys, 3, seed=0)
    more = np.array(["type 3", "a new type", "type 5"])
    fold = dataset.folds(np.concatenate([keys, more]), 3, 0, np.arange(33) >= 30)
    np.testing.assert_array_equal(fold[:30], alone)
    assert (fold[30], fold[32]) == (alone[3], alone[5])
    assert fold[31] in (0, 1, 2)


@pytest.mark.feff
def test_structure_types_are_those_of_the_table_or_of_the_crystals(data, spectra_table, structure_table, tmp_path):
    assert set(data.prototypes[data.formulas == "NiO"]) == {"AB Fm-3m (225)"}
    assert set(data.prototypes[data.formulas == "TiO2"]) == {"AB2 P4_2/mnm (136)"}
    without = pq.read_table(spectra_table).drop_columns("prototype")
    pq.write_table(without, tmp_path / "without.parquet")
    named = dataset.load([tmp_path / "without.parquet"], [structure_table]).prototypes
    np.testing.assert_array_equal(named, data.prototypes)
    with pytest.raises(
        ConfigError, match=r"no structure type of mp-\d+ and 4 crystals more.*name .*\[train\] structures"
    ):
        dataset.load([tmp_path / "without.parquet"])
