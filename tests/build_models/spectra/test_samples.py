"""Samples are what they say: shares of their components, and nothing of the other side."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from build_models.data import particles, table
from build_models.spectra import samples
from build_models.spectra.augment import IDEAL
from build_models.spectra.samples import Anchors
from larch_cnpredict.features import K_GRID
from larch_cnpredict.samples import GRID, HEADS, ONE, PARTICLE, S02_CENTER, S02_UNIT, SEVERAL
from tests.build_models import synthetic
from tests.build_models.synthetic import dataset

PLAIN = replace(synthetic.PLAIN, ideal=0.0, kmax=IDEAL.kmax)
WAVE = np.sin(4 * K_GRID)


@pytest.fixture
def anchors(monkeypatch) -> Anchors:
    """Sites whose spectrum is one wave, as high as their number."""
    monkeypatch.setattr(samples, "CHEMICAL_SHIFT", 0.0)
    monkeypatch.setattr(samples, "SMALL", 0.0)
    monkeypatch.setattr(samples, "SMALL_PARTS", 0.0)
    data = dataset(400)
    data = replace(data, variants=(data.cn[:, None, None] * WAVE * np.ones((1, 6, 1))).astype(np.float32))
    return Anchors.of(data, np.arange(400) // 4 % 2, (), 2, 0)


def height(chi: np.ndarray) -> np.ndarray:
    return chi @ WAVE / (WAVE @ WAVE)


def test_a_mixture_is_its_components_in_their_shares(anchors):
    assert (anchors.data.weight > 0.8).all()
    assert len(anchors) < 400
    chi, _, _, _, mean, kind = samples.draw(anchors, anchors.fold, np.random.default_rng(0), PLAIN)
    assert height(chi) == pytest.approx(mean, abs=1e-4)
    mixed = ~np.isclose(mean, anchors.numbers)
    assert 0.3 < mixed.mean() < 0.6
    assert set(kind[mixed]) == {ONE, SEVERAL}
    assert (kind[~mixed] == ONE).all()
    between = np.abs(mean - np.array([[4], [6], [12]])).min(0) > 0.9
    assert (kind[between] == SEVERAL).all()


def test_sides_and_absorbers_never_meet(anchors, monkeypatch):
    monkeypatch.setattr(samples, "SAME_CRYSTAL", 0.0)
    data = anchors.data
    side = np.random.default_rng(0).integers(0, 2, len(data))
    mark = 1 + 1000 * side + 1e6 * (data.elements == "Ni")
    marked = replace(data, variants=(mark[:, None, None] * WAVE * np.ones((1, 6, 1))).astype(np.float32))
    sides = np.column_stack([side, side])
    drawn = height(samples.draw(replace(anchors, data=marked), sides, np.random.default_rng(0), PLAIN)[0])
    assert drawn == pytest.approx(mark, rel=1e-4)


def test_a_particle_meets_those_alone_that_are_held_out_with_its_metals(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    monkeypatch.setattr(samples, "SAME_CRYSTAL", 0.0)
    fold = anchors.fold.copy()
    fold[::5] = [1, 0]  # metals in one, shape in the other
    odd = replace(anchors, fold=fold)
    assert odd.tested.sum() < len(odd)

    def drawn(mark):
        marked = replace(odd.data, variants=(mark[:, None, None] * WAVE * np.ones((1, 6, 1))).astype(np.float32))
        return height(samples.draw(replace(odd, data=marked), odd.fold, np.random.default_rng(0), PLAIN)[0])

    assert drawn(1.0 + fold[:, 0]) == pytest.approx(1 + fold[:, 0], rel=1e-4)
    share = drawn(1.0 * ~odd.tested)
    assert share[odd.tested] == pytest.approx(0)  # none is anybody's partner
    assert ((share > 0) & (share < 1 - 1e-6))[~odd.tested].all()


def test_what_is_told_of_a_sample_is_so(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    how = replace(PLAIN, s02=(0.8, 0.15))
    chi, _, _, told, mean, _ = samples.draw(anchors, anchors.fold, np.random.default_rng(0), how)
    known, s02 = told[:, 0] == 1, S02_CENTER + S02_UNIT * told[:, 1]
    assert 0.3 < known.mean() < 0.7
    assert (told[~known, :2] == 0).all()
    error = np.log(s02 * mean / height(chi))[known]
    assert error.std() == pytest.approx(samples.S02_ERROR, rel=0.2)
    assert abs(error.mean()) < 0.02
    there = told[:, 2:] > 0
    named = there.any(1)
    assert 0.3 < named.mean() < 0.7
    assert set(np.flatnonzero(there[named].any(0))) == set(np.flatnonzero(anchors.there.any(0)))
    assert (there[named] >= anchors.there[named]).all()  # of its partners too, if these have others
    numbers = np.array([{"Fe": 26, "Ni": 28}[element] for element in anchors.data.elements])
    assert there[named, numbers[named]].all()


def test_sites_of_one_crystal_are_mixed_with_one_another(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    monkeypatch.setattr(samples, "THIRD", 0.0)
    monkeypatch.setattr(samples, "SAME_CRYSTAL", 1.0)
    n = len(anchors)
    crystal = np.arange(n) // 4  # two sites of iron and two of nickel, mostly
    sites = np.array([f"mp-{number} site {i}" for i, number in enumerate(crystal)])
    mark = 1.0 + crystal
    data = replace(
        anchors.data, sites=sites, variants=(mark[:, None, None] * WAVE * np.ones((1, 6, 1))).astype(np.float32)
    )
    together_held = replace(anchors, data=data, fold=np.zeros((n, 2), int))
    chi = samples.draw(together_held, together_held.fold, np.random.default_rng(0), PLAIN)[0]
    together = np.array(
        [((crystal == c) & (data.elements == e)).sum() for c, e in zip(crystal, data.elements, strict=True)]
    )
    own = np.isclose(height(chi), mark, rtol=1e-4)
    assert own[together > 1].all()
    assert not own[together == 1].any()


def test_particles_are_more_disordered_than_their_bulk(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 0.0)
    half = replace(anchors, particle=np.arange(len(anchors)) % 2 == 0)
    chi = samples.draw(half, half.fold, np.random.default_rng(0), PLAIN)[0]
    weaker = height(chi) < 0.999 * half.numbers
    assert weaker[half.particle].mean() == pytest.approx(0.5, abs=0.1)  # the others are as clean as theory makes them
    assert not weaker[~half.particle].any()


def test_a_particle_is_the_mean_over_its_atoms(tmp_path):
    rows = []
    for shape, lattice, sites in (
        ("cuboctahedron", "fcc", [(1.0, 12, 12), (12.0, 5, 5)]),
        ("sphere", "bcc", [(1.0, 8, 14), (1.0, 4, 9)]),
        (particles.BULK, "hcp", [(1.0, 6, 12)]),
    ):
        for i, (weight, cn, outer) in enumerate(sites):
            chi = {"chi_static": cn * WAVE, "chi_debye": np.tile(cn * WAVE, 5)}
            rows.append(
                {"particle": shape, "composition": "Cu", "lattice": lattice, "shape": shape, "absorber": "Cu"}
                | {"n_atoms": 13, "site_index": i, "weight": weight, "cn": cn, "cn_outer": outer}
                | {name: values.astype(np.float16) for name, values in chi.items()}
            )
    path = tmp_path / "particles.parquet"
    table.write(path, pa.Table.from_pylist(rows), {})
    read = {row["sites"]: row for row in samples.read_particles(path)}
    mean = (12 + 12 * 5) / 13
    assert read["cuboctahedron"]["mean"] == pytest.approx(mean)
    assert height(read["cuboctahedron"]["variants"]) == pytest.approx([mean] * 6, rel=1e-2)
    assert read["sphere"]["mean"] == 6  # of bcc the nearest eight alone
    assert (read["bulk"]["mean"], read["bulk"]["particle"]) == (12, False)

    anchors = Anchors.of(dataset(40), np.zeros(40, int), [path], 5, 0)
    assert anchors.particle.sum() == 2 * samples.PARTICLES_EACH
    one_crystal = len(particles.SIZES) * particles.ROUNDS * samples.PARTICLES_EACH  # all particles that are made of one
    assert (anchors.data.sites == "bulk").sum() == one_crystal
    assert sorted(set(anchors.numbers[anchors.data.sites == "cuboctahedron"])) == [pytest.approx(mean)]
    assert anchors.tested[anchors.data.sites == "bulk"].all()  # what has no shape is held out with its metal
    kind = samples.draw(anchors, anchors.fold, np.random.default_rng(1), PLAIN)[5]
    alone = anchors.particle & (kind == PARTICLE)
    assert alone.any()
    assert (kind[anchors.data.sites == "bulk"] != PARTICLE).any()


def test_targets_are_the_mean_and_the_kind():
    y = samples.targets(np.array([1.0, 6.1, 16.0]), np.array([ONE, SEVERAL, PARTICLE]))
    assert y[:, : HEADS[0]] @ GRID == pytest.approx([1.0, 6.1, 16.0])
    assert y[:, HEADS[0] :].argmax(1).tolist() == [ONE, SEVERAL, PARTICLE]
    assert y.sum(1) == pytest.approx([2, 2, 2])


def test_a_site_that_is_a_defect_too_begins_no_sample_twice():
    data = dataset(40)
    again = data.take(np.array([3, 8]))
    anchors = Anchors.of(data, np.arange(40) % 2, (), 2, 0, again)
    for site in again.sites:
        assert anchors.defect[anchors.data.sites == site].tolist() == [True]


def test_shares_by_hand():
    shares = samples._shares(20000, np.random.default_rng(0))
    assert shares.sum(1) == pytest.approx(1)
    mixed, third = shares[:, 0] < 1, shares[:, 2] > 0
    assert mixed.mean() == pytest.approx(samples.MIXED, abs=0.02)
    assert third[mixed].mean() == pytest.approx(samples.THIRD, abs=0.02)
    assert shares[mixed & ~third, 0].mean() == pytest.approx(0.5, abs=0.02)


def test_a_particle_has_one_more_sigma2(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 0.0)
    every = replace(anchors, particle=np.ones(len(anchors), bool))
    chi = samples.draw(every, every.fold, np.random.default_rng(0), PLAIN)[0]
    here = np.abs(WAVE) > 0.5
    left = chi[:, here] / WAVE[here] / every.numbers[:, None]
    sigma2 = -np.log(left) / 2 / np.maximum(K_GRID[here], 1) ** 2
    late = K_GRID[here] > 4
    np.testing.assert_allclose(sigma2[:, late] - np.median(sigma2[:, late], axis=1)[:, None], 0, atol=2e-5)
    assert np.median(sigma2[:, late], axis=1).mean() == pytest.approx(samples.DISORDER / 2, rel=0.2)


def test_small_particles_are_called_so_and_have_weak_far_shells(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 0.0)
    monkeypatch.setattr(samples, "SMALL", 0.5)
    near = replace(anchors, data=replace(anchors.data, shell_end=np.full(len(anchors), 0.5)))
    chi, *_, kind = samples.draw(near, near.fold, np.random.default_rng(0), PLAIN)
    weaker = height(chi) < 0.98 * near.numbers
    assert (weaker == (kind == PARTICLE)).all()
    assert weaker.mean() == pytest.approx(0.5, abs=0.1)
    metals = replace(near, data=replace(near.data, shell=np.full(len(near), "Fe8")))
    assert (samples.draw(metals, near.fold, np.random.default_rng(0), PLAIN)[-1] == ONE).all()


def test_components_of_mixtures_may_be_small_particles(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    near = replace(anchors, data=replace(anchors.data, shell_end=np.full(len(anchors), 0.5)))

    def drawn(share):
        monkeypatch.setattr(samples, "SMALL_PARTS", share)
        chi, *_, mean, kind = samples.draw(near, near.fold, np.random.default_rng(0), PLAIN)
        assert not (kind == PARTICLE).any()
        return height(chi) / mean

    assert drawn(0.0) == pytest.approx(1, abs=1e-4)
    assert (drawn(1.0) < 0.98).all()
    assert 0.3 < (drawn(0.3) < 0.98).mean() < 0.7  # one of two or three


def test_a_few_particles_make_no_particle_of_a_sample(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    monkeypatch.setattr(samples, "DISORDER", 0.0)
    monkeypatch.setattr(samples, "SAME_CRYSTAL", 0.0)
    half = replace(anchors, particle=np.arange(len(anchors)) % 2 == 0)
    mark = replace(half.data, variants=(half.particle[:, None, None] * WAVE * np.ones((1, 6, 1))).astype(np.float32))
    chi, *_, kind = samples.draw(replace(half, data=mark), half.fold, np.random.default_rng(0), PLAIN)
    share = height(chi)  # of particles
    assert ((share > 0.1) & (share < 0.45)).any()
    np.testing.assert_array_equal(kind == PARTICLE, share > 0.5)


def test_elements_of_what_is_not_in_it_are_not_told(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 0.0)
    formulas = np.array([f"Fe{i}O{'SeTeSi'[i % 3 * 2 :][:2]}" for i in range(1, len(anchors) + 1)])
    own = replace(anchors, data=replace(anchors.data, formulas=formulas))
    there = samples.draw(own, own.fold, np.random.default_rng(0), PLAIN)[3][:, 2:] > 0
    named = there.any(1)
    np.testing.assert_array_equal(there[named], own.there[named])


def test_each_copy_draws_anew(anchors, tmp_path):
    made = samples.make(tmp_path / "two", anchors, anchors.fold, PLAIN, 2, 0)
    first, second = made.truth(0), made.truth(1)
    assert (first[:, 0] != second[:, 0]).mean() > 0.3
    again = samples.make(tmp_path / "one", anchors, anchors.fold, PLAIN, 1, 0)
    np.testing.assert_array_equal(again.truth(0), first)


def test_much_of_what_is_mixed_is_the_metal_and_much_of_the_rest_is_simple(anchors, monkeypatch):
    kinds = ["FeO", "CaFeSiO4", "KFeSi3O8", "NaFeSi2O6"]
    formulas = np.random.default_rng(0).choice(kinds, len(anchors))
    formulas[:: len(anchors) // 9] = anchors.data.elements[:: len(anchors) // 9]
    particle = (formulas == anchors.data.elements) & (np.arange(len(anchors)) % 2 == 1)
    one_side = np.zeros((len(anchors), 2), int)
    monkeypatch.setattr(samples, "SAME_CRYSTAL", 0.0)

    def partners(particle):
        some = replace(anchors, data=replace(anchors.data, formulas=formulas), particle=particle)
        return samples._partners(some, one_side, np.random.default_rng(0), 2)

    metal = formulas == anchors.data.elements
    simple = metal | (formulas == "FeO")
    drawn, rest = partners(particle), 1 - samples.METAL - samples.SIMPLE
    of_simple = (metal & ~particle)[simple].mean()
    assert (metal & ~particle)[drawn].mean() == pytest.approx(
        samples.METAL + samples.SIMPLE * of_simple + rest * (metal & ~particle).mean(), abs=0.06
    )
    assert simple[drawn].mean() == pytest.approx(samples.METAL + samples.SIMPLE + rest * simple.mean(), abs=0.06)
    without = simple[partners(metal)].mean()  # particles alone: what would be metal is anything
    assert without == pytest.approx(samples.SIMPLE + (rest + samples.METAL) * simple.mean(), abs=0.06)


def test_several_is_by_the_standard_deviation(anchors, monkeypatch):
    monkeypatch.setattr(samples, "MIXED", 1.0)
    monkeypatch.setattr(samples, "THIRD", 0.0)
    two = anchors.take(np.flatnonzero(anchors.numbers != 6))
    *_, mean, kind = samples.draw(two, two.fold, np.random.default_rng(0), PLAIN)
    share = np.clip((mean - 4) / 8, 0, 1)
    np.testing.assert_array_equal(kind != ONE, 8 * np.sqrt(share * (1 - share)) >= samples.SPREAD)
