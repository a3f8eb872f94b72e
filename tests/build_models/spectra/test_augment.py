"""What happens to chi(k) on its way to the user, on a small table of real FEFF8L spectra."""

from dataclasses import replace

import numpy as np
import pytest

from build_models.config import ConfigError
from build_models.spectra import augment, copies
from larch_cnpredict import features
from tests.build_models import synthetic

ONLY_PRE_EDGE = replace(synthetic.PLAIN, pre_edge=augment.Augmentation().pre_edge)


@pytest.mark.feff
def test_ideal_augmentation_changes_nothing(data):
    rows = np.arange(len(data))
    chi, kmax, kend = augment.augment(data, rows, np.random.default_rng(0), augment.IDEAL)
    np.testing.assert_allclose(chi, data.variants[:, 0], atol=2e-5)
    assert set(kmax) == {features.KMAX_RANGE[1]}
    assert (kend >= kmax).all()
    changed, _, _ = augment.augment(data, rows, np.random.default_rng(0), augment.Augmentation())
    assert (np.abs(changed - chi).max(1) > 0.01).all()


@pytest.mark.feff
def test_the_first_shell_and_the_rest_are_the_whole(data):
    static = data.variants[:, 0]
    first = augment.first_shell(static, data.shell_end)
    limits = features.windows(np.full(len(data), 12.0), np.full(len(data), 18.0))
    whole, part, rest = (np.abs(features.chir(c, limits, 2)) for c in (static, first, static - first))
    r = features.larch_r()
    for i, end in enumerate(data.shell_end):
        near, far = (r > 1) & (r < end - 0.5), (r > end + 0.8)
        assert part[i, near].max() > 0.9 * whole[i, near].max()
        assert part[i, far].max() < 0.1 * whole[i, far].max()
        assert rest[i, near].max() < 0.35 * whole[i, near].max()


def test_an_edge_energy_too_low_moves_chi_as_the_formula_says():
    data = synthetic.dataset(8)
    chi, _, _ = augment.augment(data, np.zeros(200, int), np.random.default_rng(3), ONLY_PRE_EDGE)
    static = data.variants[0, 0]
    moved = np.abs(chi - static).max(1) > 1e-3
    assert 0.03 < moved.mean() < 0.2  # the share with a pre-edge peak taken for the edge
    k = np.sqrt(np.maximum(features.K_GRID**2 - 10 / augment.HBAR2_OVER_2M, 0))
    expected = np.interp(k, features.K_GRID, static)
    np.testing.assert_allclose(
        augment.shift(static[None], np.array([10.0]), np.array([1.0]))[0], expected, atol=2e-3 * np.abs(static).max()
    )


def test_noise_is_as_high_as_it_says():
    noise = augment._noise(20000, np.random.default_rng(0), (1e-3, 1e-3))
    assert noise[:, features.K_GRID == 10.0].std() == pytest.approx(1e-3, rel=0.02)


@pytest.mark.feff
def test_mixed_sites_have_mixed_labels(data):
    rng = np.random.default_rng(0)
    groups = np.zeros(len(data), int)
    chi, labels = augment.mix_sites(data.variants[:, 0], data.labels, groups, rng, 1.0)
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-5)
    assert (np.abs(chi - data.variants[:, 0]).max(1) > 0).sum() >= len(data) - 1


def test_sites_that_are_apart_are_never_mixed(tmp_path):
    """Zinc's label would give away that a spectrum of copper holds some of it."""
    twice = synthetic.dataset(200)
    apart = np.arange(len(twice))[:, None] % 2
    everything = replace(augment.Augmentation(), mixture=1.0)
    blind = replace(twice, elements=np.full(len(twice), "Cu"), shell=np.full(len(twice), "O1"))
    labels = np.zeros_like(blind.labels)
    labels[np.arange(len(blind)), apart[:, 0]] = 1  # one label for each side
    mixed = copies.make(tmp_path, replace(blind, labels=labels), everything, 1.0, 1, 0, apart)
    np.testing.assert_array_equal(mixed.labels(0, np.arange(len(blind))), labels)
    together = copies.make(tmp_path / "b", replace(blind, labels=labels), everything, 1.0, 1, 0, apart * 0)
    assert (together.labels(0, np.arange(len(blind))) != labels).any(1).mean() > 0.3


def test_extra_sites_change_no_copy_of_the_others(tmp_path):
    table = synthetic.dataset(60)
    more = replace(table, extra=np.arange(60) >= 50)
    apart, how = np.zeros((60, 1)), replace(augment.Augmentation(), mixture=0.5)
    alone = copies.make(tmp_path / "a", table.take(np.arange(50)), how, 1.0, 2, 0, apart[:50])
    both = copies.make(tmp_path / "b", more, how, 1.0, 2, 0, apart)
    for copy in range(2):
        for reads in ("magnitude", "complex"):
            old, new = alone.inputs(reads, copy, np.arange(50)), both.inputs(reads, copy, np.arange(60))
            np.testing.assert_array_equal(new[:50], old)
            assert len(new) == 60
            assert np.abs(new[50:]).max() > 0


def test_metals_are_as_soft_as_their_debye_temperature_says(monkeypatch):
    """Iron's 373 K lies between FEFF's runs of 300 and 450 K; compounds keep a first shell with a sigma2 of its own."""
    monkeypatch.setattr(augment, "DEBYE_SPREAD", 0.0)
    table = synthetic.dataset(40)
    order = np.arange(6.0, dtype=np.float32)[None, :, None]  # ideal, then 200, 300, 450, 650, 1000 K
    steps = replace(table, variants=order * np.ones((40, 1, 361), np.float32), elements=np.full(40, "Fe"))
    mixed = replace(steps, shell=np.where(np.arange(40) % 2, "Fe8", "O6"))
    how = replace(synthetic.PLAIN, thermal=True, cold=0.0, metals_by_debye=True)
    metals, compounds = (np.flatnonzero(np.arange(40) % 2 == odd) for odd in (1, 0))
    chi = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), how)
    softer, stiffer, own = (np.float64(t) ** -2 for t in (300, 450, 373))
    np.testing.assert_allclose(chi[metals], 2 + (softer - own) / (softer - stiffer), atol=1e-4)
    without = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), replace(how, metals_by_debye=False))
    np.testing.assert_array_equal(chi[compounds], without[compounds])
    cold = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), replace(how, cold=1.0))
    assert (cold[metals] < 1.2).all()  # nearer to the ideal crystal than to any temperature
    fewer = replace(mixed, variants=mixed.variants[:, :2])
    with pytest.raises(ConfigError, match=r"metals need a table with chi.k. of 5 Debye temperatures"):
        augment.in_the_sample(fewer, np.arange(40), np.random.default_rng(0), how)
