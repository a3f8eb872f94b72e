"""Where structures come from and in which order they are taken."""

import hashlib
import socket
from collections import Counter
from pathlib import Path

import larixite
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from build_models import config
from build_models.__main__ import main
from build_models.config import ConfigError, Order
from build_models.data.structures import fetch, iterate, normal_id, to_structure, work_order
from larch_cnpredict.features import ELEMENTS
from tests.build_models.crystals import crystals


def test_both_forms_of_an_id_are_one():
    assert normal_id("mp-aaaboscc") == normal_id("aaaboscc") == "mp-715262"
    assert normal_id("mp-149") == "mp-149"
    assert normal_id("amcsd-0000007") == "amcsd-0000007"


def test_a_structure_comes_back_as_it_was(make_config):
    for row in iterate(fetch(make_config())):
        crystal, again = crystals()[row["material_id"]], to_structure(row)
        assert again.species == crystal.species
        np.testing.assert_allclose(again.distance_matrix, crystal.distance_matrix, atol=1e-9)


def test_single_precision_is_read_by_its_shortest_decimals(tmp_path):
    cell, coords = [5.7864456, 5.7864456, 28.458366, 90.0, 90.0, 120.0], [0.0, 0.0, 0.206152, 0.666667, 0.333333, 0.5]
    columns = {
        "material_id": ["mp-1", "mp-2"],
        "cell": pa.array([cell, cell[::-1]], pa.list_(pa.float32())),
        "species": ["Ti O", "O"],
        "frac_coords": pa.array([coords, coords[3:]], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), tmp_path / "single.parquet")
    first, second = iterate(tmp_path / "single.parquet")
    assert (first["cell"], first["frac_coords"], first["species"]) == (cell, coords, "Ti O")
    assert (second["cell"], second["frac_coords"]) == (cell[::-1], coords[3:])


def test_order_of_work():
    rows = {f"mp-{i}": {"species": "Fe O"} for i in range(100, 160)}
    rows |= {f"mp-{i}": {"species": "Sc O"} for i in range(200, 230)}
    rows |= {f"mp-{i}": {"species": "Fe O"} for i in range(700000, 700030)}
    rows["mp-1"] = {"species": "Fe" + " O" * 60}
    order = Order(small_first=40, low_id=600000, low_share=3)
    ids = work_order(rows, order, 1, ["Fe", "Sc"])
    assert sorted(ids) == sorted(rows)
    assert ids[-1] == "mp-1"
    first = [i for i in ids[:40] if int(i[3:]) < 600000]
    assert len(first) == 30
    assert Counter(rows[i]["species"] for i in first) == {"Fe O": 15, "Sc O": 15}
    assert ids == work_order(dict(reversed(rows.items())), order, 1, ["Fe", "Sc"])
    assert ids != work_order(rows, order, 2, ["Fe", "Sc"])


def test_amcsd_is_read_only_and_needs_no_network(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("a test without network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    installed = Path(larixite.__file__).with_name("amcsd_cif1.db")
    before = hashlib.sha256(installed.read_bytes()).hexdigest(), installed.stat().st_mtime
    settings = config.load(None, {"run": {"out": str(tmp_path), "limit": 12}})
    rows = list(iterate(fetch(settings)))
    assert len(rows) == 12
    assert all(row["material_id"].startswith("amcsd-") for row in rows)
    assert len({symbol for row in rows for symbol in row["species"].split()} & set(ELEMENTS)) >= 6
    assert (hashlib.sha256(installed.read_bytes()).hexdigest(), installed.stat().st_mtime) == before
    made = (tmp_path / "structures.parquet").stat().st_mtime_ns
    fetch(settings)
    assert (tmp_path / "structures.parquet").stat().st_mtime_ns == made


def test_a_folder_of_cif_files(tmp_path, make_config):
    for name, crystal in crystals().items():
        CifWriter(crystal).write_file(tmp_path / f"{name}.cif")
    (tmp_path / "broken.cif").write_bytes(b"data_\xff not a crystal")
    alloy = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), [{"Cu": 0.5, "Zn": 0.5}], [[0, 0, 0]])
    CifWriter(alloy).write_file(tmp_path / "alloy.cif")
    path = fetch(make_config(source={"kind": "cif", "path": str(tmp_path)}))
    assert {row["material_id"] for row in iterate(path)} == set(crystals())
    assert b"config_hash" in pq.read_schema(path).metadata


def test_a_source_that_is_not_there_is_said(make_config):
    with pytest.raises(ConfigError, match="'/nowhere' does not exist"):
        fetch(make_config(source={"kind": "cif", "path": "/nowhere"}))


def test_an_early_stage_that_is_missing_is_named(tmp_path, capsys):
    assert main(["simulate", "--out", str(tmp_path)]) == 1
    assert "run the stage 'label' first" in capsys.readouterr().err
