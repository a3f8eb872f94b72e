"""The table as arrays, on a small table of real FEFF8L spectra."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build_models.config import ConfigError
from build_models.spectra import dataset
from larch_cnpredict import features


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
