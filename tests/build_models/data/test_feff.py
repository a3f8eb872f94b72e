"""chi(k) of single sites, by the real FEFF8L."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from larch import Group
from larch.xafs import feff8l, xftf
from pymatgen.core import Element, Lattice, Structure

from benchmarks.reproduce import worst
from build_models.config import FeffSettings
from build_models.data import feff, labels, structures
from build_models.data.feff import FeffError, feff_input
from larch_cnpredict.features import K_GRID
from tests.build_models.crystals import crystals, spectra

pytestmark = pytest.mark.feff
SHARED = Path(__file__).parents[4] / "shared" / "data"  # beside the checkout, for the developers alone


def leftovers() -> list[Path]:
    return list(Path("/dev/shm").glob(f"{feff.PREFIX}{os.getpid()}-*"))


def test_copper_has_its_first_shell_where_it_should_and_heat_damps_it():
    chis = spectra(crystals()["mp-30"], 0, FeffSettings())
    assert chis.shape == (6, 361)
    peaks = []
    for chi in chis:
        group = Group(k=K_GRID, chi=chi)
        xftf(group, kmin=3, kmax=12, dk=1, kweight=2, window="hanning")
        peaks.append(group.chir_mag.max())
        assert group.r[group.chir_mag.argmax()] == pytest.approx(2.24, abs=0.08)  # 2.55 Å, phase not corrected
    static, *debye = peaks
    assert debye == sorted(debye)
    assert debye[-1] < static


def test_a_thermal_variant_summed_from_the_paths_equals_larch_s_whole_chain(tmp_path):
    structure, settings = crystals()["mp-19009"], FeffSettings(debye_temperatures=(450.0,))
    text = feff_input(structure, 0, settings).replace("EXCHANGE 0", "EXCHANGE 0\nDEBYE 300 450")
    (tmp_path / "feff.inp").write_text(text)
    feff8l(folder=str(tmp_path), verbose=False)
    k, chi = np.loadtxt(tmp_path / "chi.dat", usecols=(0, 1)).T
    ours = spectra(structure, 0, settings)[1]
    expected = np.interp(K_GRID, k, chi)
    np.testing.assert_allclose(ours[1:], expected[1:], atol=1e-5 * np.abs(expected).max())


def test_each_program_s_failure_is_a_reason_and_leaves_no_folder():
    crowded = Structure(Lattice.cubic(4), ["Fe", "O"], [[0, 0, 0], [0.01, 0, 0]])
    with pytest.raises(FeffError, match=r"two atoms are 0\.04 Å apart"):
        spectra(crowded, 0, FeffSettings())
    alone = Structure(Lattice.cubic(40), ["Fe"], [[0, 0, 0]])
    with pytest.raises(FeffError, match=r"no atom within 7\.1 Å"):
        spectra(alone, 0, FeffSettings())
    too_many = Structure(
        Lattice.cubic(9), ["Fe", *(Element.from_Z(z).symbol for z in range(3, 16))], [[0.07 * i] * 3 for i in range(14)]
    )
    with pytest.raises(FeffError, match=r"^(rdinp|pot)"):  # more potentials than FEFF has room for
        spectra(too_many, 0, FeffSettings())
    assert not leftovers()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a shell and Linux's limits")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("printf '\\377\\376 Fortran runtime error: \\377 end of file\\n'; exit 2",
         "rdinp: exit 2, .*runtime error: . end of"),
        ("while :; do :; done", "rdinp: over the time limit of 1 s"),
        ("exit 0", "rdinp: exit 0, no message"),
        ("for f in geom.json pot.pad phase.pad paths.dat; do echo '{}' > $f; done; printf '1 \\377\\n' > feff.pad",
         "genfmt: feff.pad is unreadable"),
    ],
)  # fmt: skip
def test_a_program_that_goes_wrong_is_a_reason(script, reason, tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(feff, "_executable", lambda _: str(program))
    with pytest.raises(FeffError, match=reason):
        spectra(crystals()["mp-30"], 0, FeffSettings(time_limit=1.0))
    assert not leftovers()


@pytest.mark.parametrize(("factor", "says"), [(0, "0"), (np.nan, "nan"), (1e6, r"\d+")])
def test_a_sum_that_no_table_can_hold_is_a_reason(factor, says, monkeypatch):
    """mp-1101100, site 0, had a chi above 65,504, infinite in half precision: one such row makes a network of NaN."""
    settings = FeffSettings()
    scattering = feff.run_paths(crystals()["mp-30"], 0, settings)
    sums = feff.paths.chi
    monkeypatch.setattr(feff.paths, "chi", lambda *given: factor * sums(*given))
    with pytest.raises(FeffError, match=f"the highest chi is {says}"):
        feff.variants(scattering, settings)


@pytest.mark.skipif(sys.platform != "linux", reason="folders in memory are Linux's")
def test_folders_of_killed_processes_are_swept_and_those_of_living_ones_are_not():
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = Path("/dev/shm", f"{feff.PREFIX}{killed.stdout.strip()}-x")
    dead.mkdir()
    with feff.scratch_folder() as alive:
        feff.sweep_scratch()
        assert alive.is_dir()
        assert not dead.exists()


# Paths that symmetry makes equal: FEFF keeps others where a coordinate is off by 1e-6 Å.
SYMMETRIC = ["mp-1001793", "mp-1029763", "mp-1228478", "mp-773432"]


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the development data are not here")
def test_rows_of_the_first_table_are_reproduced():
    table = ds.dataset(SHARED / "mp_feff_exafs_v0.parquet")
    reference = pq.ParquetFile(SHARED / "mp_feff_exafs_v0.parquet").read_row_group(7).to_pylist()[::250]
    reference += table.to_table(filter=ds.field("material_id").isin(SYMMETRIC)).to_pylist()
    wanted = {row["material_id"] for row in reference}
    rows = structures.iterate(SHARED / "mp_structures_3d.parquet")
    crystal = {row["material_id"]: row for row in rows if row["material_id"] in wanted}
    assert len(reference) == 8
    for row in reference:
        structure = crystal[row["material_id"]]
        assert worst(row, structure, FeffSettings()) < 1e-3
        labelled = labels.label_structure("", structures.to_structure(structure))
        (label,) = [r for r in labelled if r["site_index"] == row["site_index"]]
        assert label["cn"] == row["cn"]
        assert label["formula"] == row["formula"]
        assert label["cn_values"] == row["cn_values"]
        np.testing.assert_allclose(label["cn_weights"], row["cn_weights"], atol=1e-6)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the development data are not here")
def test_a_row_whose_cell_needs_more_digits_than_single_precision_is_reproduced_with_them():
    table = ds.dataset(SHARED / "mp_feff_exafs_v0.parquet")
    (row,) = table.to_table(filter=ds.field("material_id") == "mp-1104112").to_pylist()
    found = next(r for r in structures.iterate(SHARED / "mp_structures_3d.parquet") if r["material_id"] == "mp-1104112")
    # cif/mp-1104112.cif of github.com/fxcoudert/topology_databases
    cell = [4.01630100, 6.34097021, 6.59792968, 106.21138362, 90.0, 108.46314538]
    np.testing.assert_allclose(found["cell"], cell, rtol=6e-8)
    assert worst(row, found | {"cell": cell}, FeffSettings(debye_temperatures=())) < 1e-3
