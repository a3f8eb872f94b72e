"""Single scattering from pairs of other crystals, against the real FEFF8L."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Element, Structure

from build_models import __main__ as command
from build_models.config import ConfigError, FeffSettings
from build_models.data import feff, paths, single, sources, structures, table, work
from build_models.data.paths import Paths
from build_models.spectra import dataset
from larch_cnpredict.features import K_GRID, transform
from tests.build_models.crystals import crystals

NIO, MAGNETITE = "mp-19009", "mp-18748"
STRETCHED = 1.05


def alone(found: Paths) -> Paths:
    """The paths to one neighbour and back."""
    return replace(found, **{name: getattr(found, name)[found.legs == 2] for name in paths._EACH})


def off(chi: np.ndarray, expected: np.ndarray, low: float, high: float) -> float:
    """Largest difference of |chi(R)| between two distances, relative to its maximum there."""
    r, wanted = transform(K_GRID, expected, 12.0)
    inside = (r > low) & (r < high)
    return np.abs(transform(K_GRID, chi, 12.0)[1] - wanted)[inside].max() / wanted[inside].max()


@pytest.fixture(scope="module")
def stretched() -> Structure:
    crystal = crystals()[NIO].copy()
    crystal.scale_lattice(crystal.volume * STRETCHED**3)
    return crystal


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of nickel oxide, and of no other crystal."""
    folder = tmp_path_factory.mktemp("kept")
    rows = work._feff_task(structures.to_row(NIO, crystals()[NIO]), [0], FeffSettings(), keep_paths=True)
    table.write_shard(folder, rows, table.PATHS_SCHEMA, {})
    return tuple(paths.kept(folder))


@pytest.mark.feff
def test_the_same_crystal_gets_its_own_paths_back(files):
    whole = feff.run_paths(crystals()[NIO], 0, FeffSettings())
    made = single.scattering(files, crystals()[NIO], 0, FeffSettings())
    assert made.degeneracy[np.argsort(made.reff)][:2].tolist() == [6, 12]
    sigma2 = 0.005  # both summed without what ff2x leaves out for being weak
    assert off(paths.chi(made, sigma2), paths.chi(alone(whole), sigma2), 1.0, 3.3) < 0.02
    warm = [paths.debye(one, 300.0, [450.0])[0, one.reff.argmin()] for one in (made, whole)]
    assert warm[0] == pytest.approx(warm[1], rel=0.12)  # the same but for the Norman radius


@pytest.mark.feff
def test_other_distances_are_as_feff_has_them(files, stretched):
    whole = feff.run_paths(stretched, 0, FeffSettings())
    made = single.scattering(files, stretched, 0, FeffSettings())
    # 3 %; without the square of the distance 7 %
    assert off(paths.chi(made, 0.005), paths.chi(alone(whole), 0.005), 1.0, 3.3) < 0.045


@pytest.mark.feff
def test_a_missing_pair_is_that_of_the_nearest_elements(files):
    known = single.pairs(files)
    z = {symbol: Element(symbol).Z for symbol in ("Ni", "O", "F", "Co", "Fe")}
    assert set(known.known) == {(z["Ni"], z["O"]), (z["Ni"], z["Ni"])}
    assert known.nearest(z["Co"], z["F"]) is known.known[z["Ni"], z["O"]]
    assert known.nearest(z["Co"], z["Fe"]) is known.known[z["Ni"], z["Ni"]]


@pytest.mark.feff
def test_no_more_paths_of_a_pair_are_kept_than_needed(files, monkeypatch):
    monkeypatch.setattr(single, "OF_RUN", 2)
    known = single.pairs.__wrapped__(files).known
    assert {len(distances) for distances, *_ in known.values()} == {2}


@pytest.mark.feff
def test_the_stage_makes_what_no_table_has_and_goes_on(make_config, capsys):
    feff = {"debye_temperatures": list(FeffSettings().debye_temperatures)}
    config = make_config(run={"keep_paths": True, "limit": 2}, feff=feff)
    sources.fetch(config)
    work.label(config)
    with pytest.raises(ConfigError, match="keeps no paths: run stage simulate"):
        single.simulate(config)
    work.simulate(config)
    config = make_config(run={"limit": 0}, order={"skip": []}, feff=feff)
    sources.fetch(config)
    work.label(config)
    simulated = table.done(config, "simulate")
    path = single.simulate(config)
    rows = pq.read_table(path)
    labelled = table.finished(config, "label").to_pandas()
    wanted = labelled[(labelled["reason"] == "") & (labelled["cn"] <= 16)]
    every = set(zip(wanted["material_id"], wanted["site_index"], strict=True))
    assert set(table.key_list(rows)) == every - simulated
    assert "single scattering" in table.provenance(path)["program"]
    shards = set((config.out / "single").iterdir())
    single.simulate(config)
    assert set((config.out / "single").iterdir()) == shards  # nothing is done twice
    assert f"{len(rows)} spectra" in capsys.readouterr().out

    (config.out / "defects").mkdir()
    shutil.copy(paths.kept(config.out / "simulate")[0], config.out / "defects")
    with pytest.raises(ConfigError, match="paths of other runs of FEFF"):
        single.simulate(config)

    spectra = table.build(config)
    data = dataset.load([spectra], single=[path])
    assert data.single.tolist() == data.extra.tolist() == [False] * len(simulated) + [True] * len(rows)
    assert len(data.variants[0]) == 6


def test_few_sites_of_one_kind_are_made(make_config, monkeypatch):
    config = make_config(run={"limit": 0})
    sources.fetch(config)
    work.label(config)
    monkeypatch.setattr(single, "MOST_ALIKE", 0)
    assert single.missing(config) == {}
    monkeypatch.setattr(single, "MOST_ALIKE", 4)
    every = single.missing(config)
    names = {
        name: structures.named(structures.to_row(name, crystal))["material_id"] for name, crystal in crystals().items()
    }
    shard = [table.failure(names[MAGNETITE], "", site) for site in every[MAGNETITE]]
    table.write_shard(config.out / "single", shard, table.CHI_SCHEMA, {})
    assert single.missing(config) == {name: sites for name, sites in every.items() if name != MAGNETITE}
    for reason, left in (("timed out", every[NIO]), ("", None)):  # what FEFF failed on has no spectrum either
        run = [table.failure(names[NIO], reason, site) for site in every[NIO]]
        table.write_shard(config.out / "simulate", run, table.CHI_SCHEMA, {}, name="one")
        assert single.missing(config).get(NIO) == left


def test_pairs_do_not_depend_on_the_names_of_files(tmp_path, monkeypatch):
    row = {"cn": None, "paths": b""}
    for name, site in (("b", ("mp-1", 0)), ("a", ("mp-2", 1)), ("c", ("mp-2", 0))):
        rows = [table.failure(site[0], "", site[1]) | row]
        table.write_shard(tmp_path, rows, table.PATHS_SCHEMA, {}, name=name)
    monkeypatch.setattr(paths, "undump", lambda text: text)
    order = [key for key, _ in paths.load(paths.kept(tmp_path))]
    assert order == [("mp-1", 0), ("mp-2", 0), ("mp-2", 1)]


def test_the_stage_has_a_name():
    assert command.EXTRA_STAGES["single"] == "data.single:simulate"
