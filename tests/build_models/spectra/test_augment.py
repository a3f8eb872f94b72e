"""What happens to chi(k) on its way to the user, on a small table of real FEFF8L spectra."""

from dataclasses import replace

import numpy as np
import pytest
from larch.xafs.xafsutils import KTOE

from build_models.config import ConfigError
from build_models.learn import domain
from build_models.spectra import augment, background, copies
from larch_cnpredict import features
from larch_cnpredict.absorber import k_edge
from larch_cnpredict.features import K_GRID, KMAX_DEFAULT, KMAX_RANGE
from tests.build_models import synthetic

N = 4000
WAVE = np.sin(4 * K_GRID).astype(np.float32)  # one shell at 2 Å
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
    k = np.sqrt(np.maximum(features.K_GRID**2 - 10 / KTOE, 0))
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
    mixed = augment.partners(groups, rng, 1.0)
    chi, labels = (augment.mix(values, *mixed) for values in (data.variants[:, 0], data.labels))
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


SOFT = 1e5 * augment.SOFTNESS[[0, *range(5, 0, -1)]].astype(np.float32)  # ideal, then 200, 300, 450, 650, 1000 K


def test_metals_are_as_soft_as_their_debye_temperature_says(monkeypatch):
    """Iron's 433 K lies between FEFF's runs of 300 and 450 K; compounds keep a first shell with a sigma2 of its own."""
    monkeypatch.setattr(augment, "DEBYE_SPREAD", 0.0)
    table = synthetic.dataset(40)
    steps = replace(table, variants=SOFT[None, :, None] * np.ones((40, 1, 361), np.float32), elements=np.full(40, "Fe"))
    mixed = replace(steps, shell=np.where(np.arange(40) % 2, "Fe8", "O6"))
    how = replace(synthetic.PLAIN, thermal=True, cold=0.0, metals_by_debye=True)
    metals, compounds = (np.flatnonzero(np.arange(40) % 2 == odd) for odd in (1, 0))
    chi = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), how)
    np.testing.assert_allclose(chi[metals], 1e5 * 433.0**-2, rtol=1e-4)
    without = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), replace(how, metals_by_debye=False))
    np.testing.assert_array_equal(chi[compounds], without[compounds])
    cold = augment.in_the_sample(mixed, np.arange(40), np.random.default_rng(0), replace(how, cold=1.0))
    left = cold[metals] / chi[metals]  # of sigma2, which these stand for
    assert 0.35 <= left.min() < left.max() <= 0.5
    of_families = replace(how, cold=1.0, metals_by_debye=False, shell_sigma2=(0.005, 0.0))
    waves = replace(mixed, variants=np.tile(WAVE, (40, 6, 1)), shell_end=np.full(40, 9.0))
    first = augment.in_the_sample(waves, np.arange(40), np.random.default_rng(0), of_families)
    left = -np.log(rms(first, 7, 9) / rms(WAVE[None], 7, 9)) / 2 / 64 / 0.005
    assert 0.34 <= left[metals].min() < left[metals].max() < 0.52 < 0.68 < left[compounds].min()
    fewer = replace(mixed, variants=mixed.variants[:, :2])
    with pytest.raises(ConfigError, match=r"tables need chi.k. of 5 Debye temperatures"):
        augment.in_the_sample(fewer, np.arange(40), np.random.default_rng(0), how)


def at_the_beamline(chi: np.ndarray = WAVE, n: int = N, kend: float = 18.0, **on) -> np.ndarray:
    """The same spectrum n times, with some pieces of what a beamline does."""
    spectra, how = np.tile(chi, (n, 1)).astype(np.float32), replace(synthetic.PLAIN, **on)
    ends = np.full(n, kend)
    return augment.at_the_beamline(spectra, np.full(n, "Fe"), ends, np.random.default_rng(0), how)


def rms(chi: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt((chi[:, (low < K_GRID) & (high > K_GRID)] ** 2).mean(1))


def test_a_first_shell_is_damped_by_its_own_sigma2():
    one = replace(synthetic.dataset(40), variants=np.tile(WAVE, (40, 6, 1)), shell_end=np.full(40, 9.0))
    how = replace(synthetic.PLAIN, thermal=True, cold=0.0, shell_sigma2=(0.005, 0.0))
    chi = augment.in_the_sample(one, np.arange(40), np.random.default_rng(0), how)
    low = K_GRID < 14  # beyond, the filter feels the end of the table
    np.testing.assert_allclose(chi[:, low], np.tile(WAVE * np.exp(-2 * 0.005 * K_GRID**2), (40, 1))[:, low], atol=5e-3)
    spread = augment.in_the_sample(
        one, np.arange(40), np.random.default_rng(0), replace(how, shell_sigma2=(0.005, 0.6))
    )
    sigma2 = -np.log(rms(spread, 7, 9) / rms(WAVE[None], 7, 9)) / 2 / 64
    assert np.log(sigma2).std() == pytest.approx(0.6, rel=0.25)
    cold = augment.in_the_sample(one, np.arange(40), np.random.default_rng(0), replace(how, cold=1.0))
    left = -np.log(rms(cold, 7, 9) / rms(WAVE[None], 7, 9)) / 2 / 64 / 0.005
    assert 0.68 <= left.min() < left.max() <= 0.87  # zero-point motion of a bond


def test_what_is_near_0_k_is_damped_less_beyond_the_first_shell_too():
    steps = SOFT[:, None] * WAVE  # 0, and more the softer the lattice
    table = replace(synthetic.dataset(300), variants=np.tile(steps, (300, 1, 1)), shell_end=np.zeros(300))
    how = replace(synthetic.PLAIN, thermal=True)
    warm, cold = (
        augment.in_the_sample(table, np.arange(300), np.random.default_rng(0), replace(how, cold=share))
        for share in (0.0, 1.0)
    )
    left = rms(cold, 4, 12) / rms(warm, 4, 12)
    assert 0.34 <= left.min() < left.max() <= 0.51


def test_temperatures_lie_between_neighbours_in_stiffness():
    table = replace(synthetic.dataset(300), shell_end=np.zeros(300))
    order = np.array([0, 5, 4, 3, 2, 1])  # ideal, then 1000 K down to 200 K
    variants = np.tile(order[None, :, None] * WAVE, (300, 1, 1)).astype(np.float32)
    how = replace(synthetic.PLAIN, thermal=True, cold=0.0)

    def drawn(variants: np.ndarray) -> np.ndarray:
        chi = augment.in_the_sample(replace(table, variants=variants), np.arange(300), np.random.default_rng(0), how)
        return rms(chi, 4, 12) / rms(WAVE[None], 4, 12)

    places = drawn(variants)
    assert (np.histogram(places, np.arange(6))[0] > 30).all()  # uniform over the five intervals
    variants[:, 1] = 100 * WAVE  # the softest; it stands next to 300 K alone
    assert (drawn(variants)[places < 4] < 5).all()


def test_amplitudes_are_in_their_bounds():
    s02 = augment.draw_s02(np.full(N, "Fe"), np.random.default_rng(0), replace(synthetic.PLAIN, s02=(0.8, 1.0)))
    assert (s02.min(), s02.max()) == (0.4, 1.2)
    lost = rms(at_the_beamline(over_absorption=0.3), 3, 16) / rms(WAVE[None], 3, 16)
    assert np.isclose(lost, 1).mean() == pytest.approx(0.7, abs=0.03)
    assert 0.5 <= lost.min() < 0.52
    assert lost.max() == pytest.approx(1)


def test_amplitudes_of_samples_go_by_the_absorber():
    how = replace(synthetic.PLAIN, s02=(0.5, 0.0), s02_by_absorber=True)
    elements = np.repeat(["Mn", "Cu"], 4000)
    s02 = augment.draw_s02(elements, np.random.default_rng(0), how)
    for element, mean in (("Mn", 0.7), ("Cu", 0.9)):
        own = s02[elements == element]
        assert (own.mean(), own.std()) == pytest.approx((mean, 0.11), abs=0.01)
    assert (augment.draw_s02(elements, np.random.default_rng(0), replace(how, s02_by_absorber=False)) == 0.5).all()
    assert set(augment.S02) == set(features.ELEMENTS)


def test_mu0_falls_as_a_power_of_the_energy():
    edge = k_edge("Fe")
    rise = (edge + KTOE * np.maximum(K_GRID, 1) ** 2) / (edge + KTOE * 7**2)
    here = (K_GRID > 1) & (abs(K_GRID - 7) > 0.1)
    left = at_the_beamline(np.ones(361), mu0_power=3.0)
    np.testing.assert_allclose(left[:, K_GRID == 7], 1, rtol=1e-5)  # that is in s02
    power = np.zeros_like(left)
    power[:, here] = -np.log(left[:, here]) / np.log(rise[here])
    assert np.ptp(power[:, here], axis=1).max() < 1e-2
    assert (power[:, here].min(), power[:, here].max()) == pytest.approx((0, 3), abs=0.02)


def test_broadening_takes_more_of_what_is_farther():
    first, near, far = (
        np.sin(2 * r * K_GRID) * np.exp(-0.01 * (K_GRID - 9) ** 2) / np.maximum(K_GRID, 1) ** 2 for r in (2, 4, 6)
    )
    lost = [
        -np.log(rms(at_the_beamline(c, 200, broadening=0.05), 6, 12) / rms(c[None], 6, 12)) for c in (first, near, far)
    ]
    np.testing.assert_allclose(lost[0], 0, atol=0.01)  # that is in s02
    assert lost[1].min() >= 0
    assert lost[1].max() == pytest.approx(2 * 0.05 * 2, rel=0.1)
    np.testing.assert_allclose(lost[2], 2 * lost[1], atol=0.01)


def test_distances_and_edges_move_the_right_way():
    (shorter,) = at_the_beamline(n=1, stretch=(-0.02, 0.0))
    np.testing.assert_allclose(shorter, np.sin(4 * 0.98 * K_GRID), atol=2e-2)
    shift = augment._e0_shift(N, np.random.default_rng(0), replace(synthetic.PLAIN, pre_edge=(1.0, 15.0)))
    assert (shift.min(), shift.max()) == pytest.approx((0, 15), abs=0.1)  # e0 too low: chi moves to higher k
    some = augment._e0_shift(N, np.random.default_rng(0), replace(synthetic.PLAIN, e0_shift=(3.0, 5.0)))
    assert (some.mean(), some.std()) == pytest.approx((3, 5), abs=0.3)


def test_noise_is_as_said_at_ten_and_grows():
    noise = at_the_beamline(np.zeros(361), noise=(1e-4, 1e-2))
    level = rms(noise, 8, 12)
    assert np.median(level) == pytest.approx(1e-3, rel=0.2)  # log-uniform
    assert np.log(level).std() == pytest.approx(np.log(100) / 12**0.5, rel=0.1)
    assert np.median(rms(noise, 14, 18) / rms(noise, 2, 4)) > 2
    ours = noise / level[:, None]
    neighbours = (ours[:, 100:-1] * ours[:, 101:]).mean(1)
    assert neighbours.max() > 0.35
    assert neighbours.mean() > 0.15


def test_glitches_are_one_or_two_points_of_some_spectra():
    off = at_the_beamline(np.zeros(361), glitches=0.2) != 0
    assert off.any(1).mean() == pytest.approx(0.19, abs=0.02)
    assert off.sum(1).max() == 2
    assert not off[:, :60].any()


def test_residue_is_slow_and_falls():
    slow = at_the_beamline(np.zeros(361), residue=0.02)
    assert (rms(slow, 2, 6) > rms(slow, 12, 18)).mean() > 0.97
    power = np.abs(np.fft.rfft(slow * np.hanning(361), 1024)) ** 2
    r = augment.R_OF_FFT
    inside = power[:, r < 1.6].sum(1) / power.sum(1)
    assert inside.min() > 0.95
    assert (r[power.argmax(1)] > 0.7).mean() > 0.2  # as far as what has R of a short bond


def test_where_transforms_and_data_end():
    kmax, kend = augment.limits(N, np.random.default_rng(0), KMAX_RANGE)
    assert np.isclose(kmax, KMAX_DEFAULT).mean() == pytest.approx(0.5, abs=0.03)
    assert (kmax.min(), kmax.max()) == pytest.approx(KMAX_RANGE, abs=0.1)
    assert np.isclose(kend, kmax).mean() == pytest.approx(0.5, abs=0.04)
    assert (kend - kmax).max() == pytest.approx(3, abs=0.06)


def test_autobk_reads_as_far_as_the_data(monkeypatch):
    asked = []
    monkeypatch.setattr(background, "remove", lambda chi, kend, rng: asked.append(kend) or chi)
    at_the_beamline(n=3, kend=11.0, autobk=True)
    at_the_beamline(n=3)
    assert [kend.tolist() for kend in asked] == [[11.0] * 3]


def test_far_shells_are_weakened_and_the_first_is_not():
    near, far = np.sin(2 * 2 * K_GRID), np.sin(2 * 5 * K_GRID)
    end, envelope = np.full(50, 3.0), np.exp(-0.02 * (K_GRID - 9) ** 2) / np.maximum(K_GRID, 1) ** 2
    for wave, low, high in ((near, 0.97, 1.03), (far, 0.04, 0.63)):
        chi = np.tile(wave * envelope, (50, 1)).astype(np.float32)
        left = rms(augment.weaken_far_shells(chi, end, np.random.default_rng(0)), 6, 12) / rms(chi, 6, 12)
        assert ((left > low) & (left < high)).all()


def test_a_mixture_of_sites_has_their_mixture_of_labels():
    chi, labels = np.eye(6, 361, dtype=np.float32), np.eye(6, 16, dtype=np.float32)
    drawn = augment.partners(np.array([0, 0, 0, 1, 1, 1]), np.random.default_rng(0), 1.0)
    mixed, told = (augment.mix(values, *drawn) for values in (chi, labels))
    np.testing.assert_allclose(mixed[:, :6], told[:, :6])
    assert (told.argmax(1) == np.arange(6)).all()  # at most half is another's
    assert not told[:3, 3:6].any()
    assert not told[3:, :3].any()
    assert (told.max(1) < 1).any()


def test_a_mixture_has_one_edge():
    """Two of a kind, mixed: as high as each of them, wherever the edge is. With an edge each they would be lower."""
    wave = (np.sin(6 * K_GRID) * np.exp(-0.01 * (K_GRID - 9) ** 2)).astype(np.float32)
    data = replace(synthetic.dataset(200), variants=np.tile(wave, (200, 6, 1)))
    how = replace(synthetic.PLAIN, ideal=0.0, e0_shift=(0.0, 10.0))
    rows = np.arange(200)
    mixed = augment.partners(rows * 0, np.random.default_rng(1), 1.0)
    assert (mixed[1] > 0).all()
    chi, *_ = augment.augment(data, rows, np.random.default_rng(0), how, mixed)
    alone, *_ = augment.augment(data, rows, np.random.default_rng(0), how)
    np.testing.assert_allclose(chi, alone, atol=1e-6)
    heights = rows[:, None] / 200
    other = replace(data, variants=data.variants * heights[:, None])
    chi, *_ = augment.augment(other, rows, np.random.default_rng(0), replace(how, e0_shift=(0.0, 0.0)), mixed)
    np.testing.assert_allclose(chi, augment.mix(heights * wave, *mixed), atol=1e-4)


@pytest.mark.parametrize("how", [augment.NEAR_IDEAL, domain.TYPICAL])
def test_what_is_nearly_ideal_has_no_e0_on_a_pre_edge_peak(how):
    moved = augment._e0_shift(N, np.random.default_rng(0), how) - how.e0_shift[0]
    assert np.abs(moved).max() <= 6 * how.e0_shift[1]
