"""Where structures come from."""

import hashlib
import socket
from pathlib import Path

import larixite
import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from build_models import config
from build_models.__main__ import main
from build_models.config import ConfigError
from build_models.data import feff, structures, table, work
from build_models.data.sources import fetch
from build_models.data.structures import iterate
from larch_cnpredict.features import ELEMENTS
from tests.build_models.crystals import crystals


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


def dimers() -> Structure:
    """VO2 between rutile and its monoclinic phase: along c, V-V distances are 2.62 and 3.10 Å in turn."""
    places = [[0, 0, 0], [0.3, 0.3, 0]]
    crystal = Structure.from_spacegroup("P4_2/mnm", Lattice.tetragonal(4.55, 2.86), ["V", "O"], places) * (1, 1, 2)
    for i, site in enumerate(crystal[:4]):
        crystal.translate_sites([i], [0, 0, 0.12 if site.frac_coords[2] < 0.5 else -0.12], frac_coords=False)
    return crystal


def snapshot() -> Structure:
    """Nickel oxide at some temperature: no atom is where symmetry would have it, and one is near two thirds."""
    crystal = (crystals()["mp-19009"] * (5, 1, 1)).perturb(0.1, seed=5)
    crystal.translate_sites(list(range(len(crystal))), [0.66661 - crystal[0].frac_coords[0], 0, 0])
    return crystal


@pytest.mark.parametrize(("make", "decimals"), [(dimers, 4), (dimers, 8), (snapshot, 5), (snapshot, 8)])
def test_no_atom_moves_on_the_way_from_a_cif_file_to_its_label_and_to_feff(make, decimals, tmp_path, make_config):
    crystal = make()
    crystal = Structure(
        Lattice.from_parameters(*np.round(crystal.lattice.parameters, decimals)),
        crystal.species,
        np.round(crystal.frac_coords, decimals),
    )
    CifWriter(crystal, significant_figures=decimals).write_file(tmp_path / "one.cif")
    config = make_config(source={"kind": "cif", "path": str(tmp_path)})
    (row,) = iterate(fetch(config))
    work.label(config)
    labels = table.finished(config, "label").to_pylist()
    sites = [i for i, site in enumerate(crystal) if site.specie.symbol == labels[0]["absorber"]]
    given = [sorted(n.nn_distance for n in crystal.get_neighbors(crystal[i], 5.0)) for i in sites]
    assert sum(label["multiplicity"] for label in labels) == len(sites)
    for label in labels:
        text = feff.feff_input(structures.to_structure(row), label["site_index"], config.feff)
        atoms = [float(line.split()[-1]) for line in text.partition("ATOMS")[2].splitlines()[2:-1]]
        assert min(np.abs(np.array(atoms)[: len(one)] - one).max() for one in given) < 1e-3
        bonds = [float(word.split(":")[1]) for word in label["neighbours"].split()]
        assert min(np.abs(np.array(bonds) - one[: len(bonds)]).max() for one in given) < 1.5e-3  # three decimals


def test_cif_files_that_cannot_be_taken_are_rows_with_the_reason(tmp_path, make_config, capsys):
    folder = tmp_path / "cif"
    folder.mkdir()
    good = {"mp-30", "mp-13"}
    for name in good:
        CifWriter(crystals()[name]).write_file(folder / f"{name}.cif")
    (folder / "broken.cif").write_bytes(b"data_\xff not a crystal")
    (folder / "empty.cif").write_bytes(b"")
    shared = {"brass": {"Cu": 0.5, "Zn": 0.5}, "vacant": {"Fe": 0.9}, "electrum": {"Ag": 0.5, "Au": 0.5}}
    for name, metals in shared.items():
        alloy = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), [metals], [[0, 0, 0]])
        CifWriter(alloy).write_file(folder / f"{name}.cif")
    config = make_config(source={"kind": "cif", "path": str(folder)})
    path = fetch(config)
    assert {row["material_id"] for row in iterate(path)} == good
    assert b"config_hash" in pq.read_schema(path).metadata
    work.label(config)
    work.simulate(config)
    table.build(config)
    failures = {row["material_id"]: row["reason"] for row in pq.read_table(config.out / "failures.parquet").to_pylist()}
    assert failures.keys() == {"broken", "empty", "brass", "vacant"}  # and not electrum, where we look for nothing
    assert all(failures[name].startswith("CIF is not readable: ValueError") for name in ("broken", "empty"))
    assert all(failures[name].startswith("some sites are shared") for name in ("brass", "vacant"))
    assert "4 sites failed (66.67%)" in capsys.readouterr().out


def test_a_file_of_two_crystals_gives_two(tmp_path, make_config):
    two = "".join(str(CifWriter(crystals()[name])) for name in ("mp-30", "mp-13"))
    (tmp_path / "goethite.cif").write_text(two)  # and not an id of the Materials Project, which have eight letters too
    config = make_config(source={"kind": "cif", "path": str(tmp_path)})
    rows = {row["material_id"]: row["species"] for row in iterate(fetch(config))}
    assert rows == {"goethite": "Cu", "goethite:2": "Fe"}


def test_new_files_in_the_folder_are_seen(tmp_path, make_config):
    config = make_config(source={"kind": "cif", "path": str(tmp_path / "cif")})
    (tmp_path / "cif").mkdir()
    for count, name in enumerate(("mp-30", "mp-13"), 1):
        CifWriter(crystals()[name]).write_file(tmp_path / "cif" / f"{name}.cif")
        assert len([*iterate(fetch(config))]) == count


def test_a_source_that_is_not_there_is_said(make_config):
    with pytest.raises(ConfigError, match="'/nowhere' does not exist"):
        fetch(make_config(source={"kind": "cif", "path": "/nowhere"}))


def test_an_early_stage_that_is_missing_is_named(tmp_path, capsys):
    assert main(["simulate", "--out", str(tmp_path)]) == 1
    assert "run the stage 'label' first" in capsys.readouterr().err
