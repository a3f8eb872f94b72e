"""Runs that are cut, workers that die: the table comes out whole all the same."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import larch.utils
import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from build_models import config as configuration
from build_models.__main__ import main
from build_models.config import BuildError, FeffSettings
from build_models.data import feff, sources, structures, table, work
from tests.build_models.crystals import crystals

pytestmark = pytest.mark.feff
ROOT = Path(__file__).parents[3]
SETTINGS = """
[run]
out = "{out}"
workers = 2
shard_rows = 1
[source]
kind = "parquet"
path = "{path}"
[feff]
debye_temperatures = [300.0]
"""


@pytest.fixture(scope="module")
def settings(structure_table, tmp_path_factory) -> tuple[Path, Path]:
    out = tmp_path_factory.mktemp("undisturbed")
    path = out / "settings.toml"
    path.write_text(SETTINGS.format(out=out, path=structure_table))
    for stage in ("fetch", "label", "simulate", "table"):
        assert main([stage, "--config", str(path)]) == 0
    return path, out


def spectra(out: Path):
    return pq.read_table(out / "spectra.parquet").replace_schema_metadata(None)


def begin(undisturbed: Path, out: Path) -> None:
    """The stages before `simulate`, which have been run already."""
    shutil.copytree(undisturbed / "label", out / "label")
    shutil.copy(undisturbed / "structures.parquet", out)


def test_the_table_is_complete_and_says_where_it_comes_from(settings):
    _, out = settings
    found = pq.read_table(out / "spectra.parquet")
    assert found.schema.remove_metadata() == table.SCHEMA
    rows = {(row["material_id"], row["cn"]): row for row in found.to_pylist()}
    assert set(rows) == {("mp-13", 8), ("mp-30", 12), ("mp-19009", 6), ("mp-2657", 6), ("mp-18748", 4), ("mp-18748", 6)}
    assert np.reshape(rows["mp-30", 12]["chi_static"], -1).shape == (361,)
    metadata = {key.decode(): value.decode() for key, value in found.schema.metadata.items()}
    assert metadata["theta_debye_K"] == "300"
    assert len(metadata["structures"]) == len(metadata["config_hash"]) == 12
    assert '"xraylarch"' in metadata["versions"]


def test_a_table_says_for_a_card_how_it_was_made(settings):
    _, out = settings
    said = table.provenance(out / "spectra.parquet")
    assert (said["file"], said["rows"], said["materials"]) == ("spectra.parquet", 6, 5)
    assert said["absorbers"] == {"Cu": 1, "Fe": 3, "Ni": 1, "Ti": 1}
    assert said["sha256"] == hashlib.sha256((out / "spectra.parquet").read_bytes()).hexdigest()
    assert said["config"]["feff"] | {"debye_temperatures": [300.0], "scf_radius": 0.0} == said["config"]["feff"]
    assert said["config"]["source"] | {"kind": "parquet", "path": "crystals.parquet"} == said["config"]["source"]
    assert said["config_hash"] == configuration.load(settings[0]).provenance()["config_hash"]
    assert said["program"] == f"FEFF8L of xraylarch {said['versions']['xraylarch']}"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    if commit.returncode == 0:
        assert said["commit"].removesuffix("-dirty") == commit.stdout.strip()


def test_a_table_that_says_nothing_of_itself_is_read_all_the_same(settings, tmp_path):
    _, out = settings
    pq.write_table(spectra(out), tmp_path / "bare.parquet")
    assert table.provenance(tmp_path / "bare.parquet").keys() == {"file", "sha256", "rows", "materials", "absorbers"}


def test_killed_three_times_and_started_again_it_gives_the_same_table(settings, tmp_path):
    path, undisturbed = settings
    command = [sys.executable, "-m", "build_models"]
    options = ["--config", str(path), "--out", str(tmp_path)]
    begin(undisturbed, tmp_path)
    done = tmp_path / "simulate"
    for n in (1, 2, 3):
        process = subprocess.Popen([*command, "simulate", *options], start_new_session=True)
        deadline = time.monotonic() + 120
        while len(list(done.glob("*.parquet"))) < n and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert n <= len(list(done.glob("*.parquet"))) < 6
    for stage in ("simulate", "table"):
        assert main([stage, *options]) == 0
    assert spectra(tmp_path).equals(spectra(undisturbed))


def test_sites_that_another_table_holds_are_not_done_again(settings, make_config):
    _, undisturbed = settings
    config = make_config(order={"skip": [str(undisturbed / "spectra.parquet")]})
    begin(undisturbed, config.out)
    work.simulate(config)
    assert not (config.out / "simulate").exists()


def test_a_structure_that_was_replaced_is_done_anew_and_no_other(make_config, tmp_path):
    def replaced(name: str) -> tuple[tuple[int, float], int, int]:
        """Number and some chi(k) of this crystal in a file of the same name; sites in the table, and sites done."""
        for file, crystal in (("one", name), ("other", "mp-30")):
            CifWriter(crystals()[crystal], significant_figures=6).write_file(folder / f"{file}.cif")
        sources.fetch(config)
        before = set((config.out / "simulate").glob("*"))
        for stage in (work.label, work.simulate, table.build):
            stage(config)
        done = sum(len(pq.read_table(path)) for path in set((config.out / "simulate").glob("*")) - before)
        rows = spectra(config.out).to_pylist()
        (own,) = [(row["cn"], row["chi_static"][100]) for row in rows if row["material_id"] == "one"]
        return own, len(rows), done

    folder = tmp_path / "cif"
    folder.mkdir()
    config = make_config(source={"kind": "cif", "path": str(folder)})
    metal, *counts = replaced("mp-13")
    assert (metal[0], *counts) == (8, 2, 2)
    oxide, *counts = replaced("mp-19009")
    assert (oxide[0], oxide[1] != metal[1], *counts) == (6, True, 2, 1)
    assert replaced("mp-13") == (metal, 2, 0)  # what was done of the first one is still there


def test_work_of_other_settings_is_not_mixed_in(settings, capsys):
    path, out = settings
    other = out / "other.toml"
    other.write_text(path.read_text().replace("[feff]", "[feff]\nrpath = 5.0"))
    assert main(["simulate", "--config", str(other)]) == 1
    assert "other settings; choose another --out" in capsys.readouterr().err


def test_a_worker_that_is_killed_costs_nothing_and_a_deadly_site_is_a_row(make_config, tmp_path):
    config = make_config(run={"workers": 2})
    mark = tmp_path / "mark"

    def task(row: dict, sites: list[int]) -> list[dict]:
        if row["material_id"] == "deadly" or (row["material_id"] == "unlucky" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [{"material_id": row["material_id"], "site_index": i, "reason": ""} for i in sites]

    names = ["a", "b", "unlucky", "c", "deadly", "d", "e", "f"]
    tasks = [({"material_id": name}, [0, 1]) for name in names]
    rows = [row for result in work.results(config, task, tasks) for row in result]
    assert sorted({row["material_id"] for row in rows if not row["reason"]}) == sorted(set(names) - {"deadly"})
    failed = [row for row in rows if row["reason"]]
    assert [(row["material_id"], row["site_index"]) for row in failed] == [("deadly", 0), ("deadly", 1)]
    assert all(row["reason"].startswith("worker died") for row in failed)
    assert len(rows) == 2 * 8


def test_sites_that_fail_are_rows_with_their_reason(tmp_path, make_config, capsys):
    import pyarrow as pa

    bad = {
        "alone": Structure(Lattice.cubic(20), ["Fe"], [[0, 0, 0]]),
        "crowded": Structure(Lattice.cubic(4), ["Fe", "O"], [[0, 0, 0], [0.01, 0, 0]]),
        "good": crystals()["mp-13"],
    }
    rows = [structures.to_row(name, crystal) for name, crystal in bad.items()]
    rows.append(structures.to_row("torn", crystals()["mp-13"]) | {"frac_coords": [0.0, 0.0]})
    pq.write_table(pa.Table.from_pylist(rows, schema=structures.SCHEMA), tmp_path / "bad.parquet")
    config = make_config(source={"kind": "parquet", "path": str(tmp_path / "bad.parquet")})
    sources.fetch(config)
    for stage in (work.label, work.simulate, table.build):
        stage(config)
    assert spectra(config.out)["material_id"].to_pylist() == ["good"]
    failures = {row["material_id"]: row["reason"] for row in pq.read_table(config.out / "failures.parquet").to_pylist()}
    assert failures["torn"].startswith("ValueError")
    assert failures["alone"].startswith("CrystalNN")
    assert "Å apart" in failures["crowded"] or failures["crowded"].startswith("CrystalNN")
    assert "3 sites failed (75.00%)" in capsys.readouterr().out


def test_where_every_site_failed_the_table_is_empty_and_says_why(tmp_path, make_config, capsys):
    alone = structures.to_row("alone", Structure(Lattice.cubic(20), ["Fe"], [[0, 0, 0]]))
    table.write_shard(tmp_path, [alone], structures.SCHEMA, {}, "alone")
    config = make_config(source={"kind": "parquet", "path": str(tmp_path / "alone.parquet")})
    sources.fetch(config)
    work.label(config)
    failed = [
        table.failure(structures.named(alone)["material_id"], "pot: no luck", 0)
    ]  # beside the label that there is none
    table.write_shard(config.out / "simulate", failed, table.CHI_SCHEMA, config.provenance("feff"))
    with pytest.raises(BuildError, match="no site has a label and a spectrum"):
        table.build(config)
    assert spectra(config.out).schema == table.SCHEMA
    assert "2 sites failed (100.00%)" in capsys.readouterr().out


def test_a_dask_cluster_of_two_loses_one_in_the_middle(settings, tmp_path):
    from distributed import LocalCluster

    path, undisturbed = settings
    options = ["--config", str(path), "--out", str(tmp_path)]
    begin(undisturbed, tmp_path)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        victim = cluster.workers[0].pid
        command = [sys.executable, "-m", "build_models", "simulate", *options]
        process = subprocess.Popen([*command, "--scheduler", cluster.scheduler_address])
        while not list((tmp_path / "simulate").glob("*.parquet")):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        assert process.wait(timeout=300) == 0
    assert main(["table", *options]) == 0
    assert spectra(tmp_path).equals(spectra(undisturbed))
    shards = [pq.read_table(shard) for shard in (tmp_path / "simulate").glob("*.parquet")]
    assert sum(map(len, shards)) == 6


@contextlib.contextmanager
def dask(folder: Path, cwd: Path):
    """A Dask scheduler and one worker, as a user starts them in a folder: the scheduler's address and process."""
    options = {"cwd": cwd, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1"]
    file = ["--scheduler-file", str(folder / "scheduler.json")]
    scheduler = subprocess.Popen([*command, "--no-dashboard", *file], **options)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard"]
    worker = subprocess.Popen([*command, *file], **options)  # waits for the file
    try:
        while not (folder / "scheduler.json").exists() or not (folder / "scheduler.json").read_text():
            assert scheduler.poll() is None
            time.sleep(0.1)
        yield json.loads((folder / "scheduler.json").read_text())["address"], scheduler
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait(timeout=60)


def test_dask_workers_that_cannot_work_end_the_run_and_are_no_failures_of_sites(settings, tmp_path, capsys):
    path, undisturbed = settings
    options = ["--config", str(path), "--out", str(tmp_path / "out")]
    begin(undisturbed, tmp_path / "out")
    (tmp_path / "build_models").mkdir()
    (tmp_path / "build_models" / "__init__.py").touch()  # a package of that name, and not ours
    with dask(tmp_path, cwd=tmp_path) as (address, _):
        capsys.readouterr()
        assert main(["simulate", *options, "--scheduler", address]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"build_models: the Dask cluster at {address} cannot do the work, which needs this checkout")
    for stage in ("simulate", "table"):
        assert main([stage, *options]) == 0
    assert spectra(tmp_path / "out").equals(spectra(undisturbed))


def test_a_dask_scheduler_that_goes_away_is_said_and_costs_nothing_that_is_finished(make_config, tmp_path):
    with dask(tmp_path, cwd=ROOT) as (address, scheduler):
        pid = scheduler.pid

        def task(row: dict) -> list[dict]:
            if row["material_id"] == "last":
                time.sleep(2)
                os.kill(pid, signal.SIGKILL)
                time.sleep(60)
            return [table.failure(row["material_id"], "done")]

        config = make_config(run={"scheduler": address})
        tasks = [({"material_id": name},) for name in ("first", "second", "last", "never")]
        with pytest.raises(BuildError, match=f"the Dask cluster at {address} went away; start the stage again"):
            work.in_shards(config, "simulate", task, tasks, table.CHI_SCHEMA, 4)
    assert table.keys((config.out / "simulate").glob("*")) == {("first", -1), ("second", -1)}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_dask_scheduler_that_does_not_answer_is_one_sentence(address, settings, tmp_path, capsys):
    import dask

    options = ["--config", str(settings[0]), "--out", str(tmp_path)]
    assert main(["fetch", *options]) == 0
    capsys.readouterr()
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        assert main(["label", *options, "--scheduler", address]) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(f"build_models: no Dask scheduler answers at {address}: ")
    )


def test_a_machine_without_feff_is_no_failure_of_a_site(structure_table, tmp_path, monkeypatch):
    monkeypatch.setattr(larch.utils, "bindir", str(tmp_path))
    feff._executable.cache_clear()
    with pytest.raises(FileNotFoundError, match="this Larch has no FEFF8L"):
        work._feff_task(next(structures.iterate(structure_table)), [0], FeffSettings())


AFTERWARDS = """
import sys
import joblib
from build_models.config import load
from build_models.data import sources, work

config = load(None, {"run": {"out": sys.argv[1], "workers": 2}, "source": {"kind": "parquet", "path": sys.argv[2]}})
sources.fetch(config)
work.label(config)
print(joblib.Parallel(2)(joblib.delayed(abs)(i) for i in (-1, -2)))
"""


def test_later_stages_have_processes_of_their_own(structure_table, tmp_path):
    """joblib takes up loky's processes where there are some, and these are not of the kind that it needs."""
    command = [sys.executable, "-c", AFTERWARDS, str(tmp_path / "out"), str(structure_table)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "[1, 2]"
