"""Sums of FEFF8L's scattering paths, against FEFF8L itself and Larch."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from larch.xafs import feffpath, path2chi
from larch.xafs.sigma2_models import sigma2_correldebye
from xraydb import atomic_mass

from build_models.config import FeffSettings
from build_models.data import feff, paths, sources, table, work
from build_models.data.paths import Paths
from larch_cnpredict.features import K_GRID, transform
from tests.build_models.crystals import crystals, spectra

pytestmark = pytest.mark.feff
SITES = {"mp-19009": 0, "mp-2657": 0, "mp-18748": 0}  # NiO, rutile, magnetite's tetrahedron
THETAS = (200.0, 650.0)


def ff2x(folder: Path, theta: float | None = None) -> tuple[np.ndarray, list[float]]:
    """chi(k) of FEFF's own sum, and the sigma2 that it lists."""
    if theta:
        cards = json.loads((folder / "ff2x.json").read_text())
        (folder / "ff2x.json").write_text(json.dumps(cards | {"idwopt": 0, "tk": 300.0, "thetad": theta}, indent=0))
        feff._run("ff2x", folder, 60.0)
    k, chi = np.loadtxt(folder / "chi.dat", usecols=(0, 1)).T
    words = [line.split() for line in (folder / "chi.dat").read_text().splitlines() if line.startswith("#")]
    return np.interp(K_GRID, k, chi), [float(word[2]) for word in words if len(word) == 7 and word[1].isdigit()]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Folder of a whole run of FEFF8L, with feffNNNN.dat."""

    @cache
    def run(name: str, **settings: float) -> Path:
        folder = tmp_path_factory.mktemp(name)
        text = feff.feff_input(crystals()[name], SITES[name], FeffSettings(**settings))
        feff.run_chain(folder, text.replace("PRINT 1 0 0 0 0 0", "PRINT 1 0 0 0 0 3"), 60.0)
        return folder

    return run


def off(chi: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of |chi(R)|, relative to its maximum."""
    got, wanted = (transform(K_GRID, one, 12.0)[1] for one in (chi, expected))
    return np.abs(got - wanted).max() / wanted.max()


@pytest.mark.parametrize("name", SITES)
def test_sums_are_those_of_ff2x_for_every_temperature(name, chain):
    found = paths.read(chain(name))
    static, _ = ff2x(chain(name))
    sigma2 = paths.debye(found, 300.0, THETAS)
    chis = paths.chi(found, np.vstack([0 * sigma2[0], sigma2]))
    assert off(chis[0], static) < 1e-5
    for theta, chi, ours in zip(THETAS, chis[1:], sigma2, strict=True):
        expected, listed = ff2x(chain(name), theta)
        np.testing.assert_allclose(ours, listed, atol=1e-5)  # five decimals are listed
        assert off(chi, expected) < 5e-4
        assert np.abs(chi - expected)[1:].max() < 1e-4 * np.abs(expected).max()


def test_the_correlated_debye_model_is_larch_s(chain):
    found = paths.read(chain("mp-2657"))
    masses = np.array([paths.WEIGHTS.get(z) or atomic_mass(z) for z in found.numbers.tolist()])
    expected = [
        sigma2_correldebye(n, 300.0, 450.0, found.norman / paths.BOHR, *position[:n].T, masses[potential[:n]])
        for n, position, potential in zip(found.legs.tolist(), found.positions, found.potentials, strict=True)
    ]
    np.testing.assert_allclose(paths.debye(found, 300.0, [450.0])[0], expected, rtol=1e-5)


def test_a_third_cumulant_shifts_the_phase_as_in_larch(chain):
    found = paths.read(chain("mp-19009"))
    first = replace(found, degeneracy=found.degeneracy * (np.arange(len(found.legs)) == 0))
    path = feffpath(str(chain("mp-19009") / "feff0001.dat"))
    inside = (K_GRID > 3) & (K_GRID < 16)
    for third in (0.0, 2e-3):
        path2chi(path, k=K_GRID, third=third)
        expected = path.chi
        got = paths.chi(first, 0.0, third)
        assert np.abs(got - expected)[inside].max() < 0.01 * np.abs(expected[inside]).max()
    assert np.abs(got - paths.chi(first))[inside].max() > 0.1 * np.abs(expected[inside]).max()


@pytest.mark.parametrize("name", SITES)
def test_equal_paths_are_as_many_as_feff_counts(name, chain):
    found = paths.read(chain(name))
    for path, atoms in enumerate(found.members):
        there = {tuple(row) for row in atoms}
        both_ways = there | {row[::-1] for row in there}
        assert len(both_ways) == found.degeneracy[path]


def test_a_neighbour_that_is_left_out_takes_its_paths_along(chain):
    found = paths.read(chain("mp-19009"))
    oxygen = np.linalg.norm(found.atoms - (2.09, 0, 0), axis=1) < 0.01
    left = paths.without(found, oxygen)

    def count(scattering: Paths, potentials: list[int], reff: float) -> float:
        these = (scattering.potentials[:, : len(potentials)] == potentials).all(axis=1)
        return scattering.degeneracy[these & (np.abs(scattering.reff - reff) < 1e-3)].sum()

    triangle = (2 * 2.09 + 2.09 * 2**0.5) / 2
    for potentials, reff, before, after in [
        ([1, 0, 0, 0], 2.09, 6, 5),
        ([2, 0, 0, 0], 2.09 * 2**0.5, 12, 12),
        ([1, 1, 0, 0], triangle, 24, 16),  # each O touches four others
        ([2, 1, 0, 0], triangle, 48, 40),  # and four of the twelve Ni; there and back
        ([1, 0, 1, 0], 2 * 2.09, 6 + 6, 5 + 4),  # the same O twice, or the one across
    ]:
        assert count(found, potentials, reff) == before
        assert count(left, potentials, reff) == pytest.approx(after)
    whole, one_less = paths.chi(found), paths.chi(left)
    opposite = np.linalg.norm(left.atoms - (-2.09, 0, 0), axis=1) < 0.01
    assert count(paths.without(left, opposite), [1, 1, 0, 0], triangle) == pytest.approx(8)
    assert off(one_less, whole) > 0.1


def test_what_is_left_of_a_particle_is_what_feff_says_of_one():
    """FEFF on a cluster of 19 atoms has other potentials at its surface, so the two are close and not equal."""
    crystal, radius = crystals()["mp-30"], 3.7
    whole = feff.run_paths(crystal, 0, FeffSettings())
    particle = spectra(crystal, 0, FeffSettings(cluster_radius=radius, debye_temperatures=()))[0]
    left = paths.within(whole, radius)
    assert np.linalg.norm(left.positions, axis=2).max() < radius < np.linalg.norm(whole.positions, axis=2).max()
    assert len(left.atoms) == 19
    assert off(paths.chi(left), particle) < 0.1 < off(paths.chi(whole), particle)


def test_a_shorter_rpath_is_a_part_of_the_same_sum(chain):
    found = paths.read(chain("mp-19009"))
    near = replace(found, degeneracy=found.degeneracy * (found.reff < 4.0))
    assert off(paths.chi(near), ff2x(chain("mp-19009", rpath=4.0))[0]) < 1e-5


def test_paths_are_kept_beside_chi_and_read_back(make_config):
    config = make_config(run={"keep_paths": True})
    sources.fetch(config)
    work.label(config)
    work.simulate(config)
    without = [table.failure("mp-1", "done before paths were kept", 0)]
    table.write_shard(config.out / "simulate", without, table.CHI_SCHEMA, {}, name="0")
    spectra = pq.read_table(table.build(config))
    assert spectra.schema.remove_metadata() == table.SCHEMA
    kept = dict(paths.load(paths.kept(config.out / "simulate")))
    kept = {(name.split()[0], site): found for (name, site), found in kept.items()}
    assert kept.keys() == {(row["material_id"], row["site_index"]) for row in spectra.to_pylist()}
    for row in spectra.to_pylist():
        found = kept[row["material_id"], row["site_index"]]
        chis = paths.chi(found, np.vstack([np.zeros(len(found.legs)), paths.debye(found, 300.0, [300.0])]))
        assert off(chis[0], np.array(row["chi_static"], float)) < 3e-3
        assert off(chis[1], np.array(row["chi_debye"], float)) < 3e-3
        assert len(found.members) == len(found.legs)
    structure = pq.read_table(config.out / "structures.parquet").to_pylist()[0]
    assert "paths" not in work._feff_task(structure, [0], FeffSettings())[0]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.99])
def test_a_cut_file_is_refused(share, chain, tmp_path):
    for name in ("feff.pad", "geom.json"):
        text = (chain("mp-19009") / name).read_bytes()
        (tmp_path / name).write_bytes(text[: int(share * len(text))] if name == "feff.pad" else text)
    with pytest.raises(ValueError, match=r"feff\.pad is unreadable"):
        paths.read(tmp_path)
