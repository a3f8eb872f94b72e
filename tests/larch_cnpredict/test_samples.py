"""From what the networks say of a sample to words and numbers."""

import numpy as np
import pytest

from larch_cnpredict import features, predict_cn
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import (
    GRID,
    HEADS,
    S02_CENTER,
    STEP,
    TOLD,
    by_number,
    describe,
    kinds,
    middle,
    mixture,
    near,
    read,
    shortest,
    told_columns,
)
from larch_cnpredict.uncertainty import with_sample


def density(**shares: float) -> np.ndarray:
    out = np.zeros(len(GRID))
    for number, share in shares.items():
        out[np.searchsorted(GRID, float(number[1:]))] = share
    return out


def test_the_middle_and_the_shortest_interval():
    even = np.full(len(GRID), 1 / len(GRID))
    assert middle(even) == pytest.approx(8.5)
    low, high = shortest(even, 0.5)
    assert high - low == pytest.approx(0.5 * len(GRID) * STEP)
    apart = density(n4=0.3, n12=0.7)
    assert shortest(apart, 0.6) == pytest.approx([12 - STEP / 2, 12 - STEP / 2 + STEP * 6 / 7])
    assert shortest(apart, 0.9)[0] < 4.2
    assert shortest(apart, 0.9)[1] > 11.8
    assert shortest(apart, 1.1) == pytest.approx([1 - STEP / 2, 16 + STEP / 2])


def test_several_where_one_site_is_less_likely_than_not():
    says = np.zeros((3, sum(HEADS)))
    says[:, HEADS[0] :] = [[0.51, 0.49, 0], [0.49, 0.2, 0.31], [0.4, 0.35, 0.25]]
    assert [KINDS[kind] for kind in kinds(says, np.ones(3))] == [KINDS[0], KINDS[2], KINDS[1]]
    assert kinds(says, np.array([1, 0.9, 0.9])).tolist() == [0, 0, 1]
    assert mixture(says, np.array([1, 1, 0.5])) == pytest.approx([0.49, 0.51, 0.3 / 0.7])


def test_where_the_sample_disagrees_the_number_is_less_sure():
    p, elsewhere = np.array([0.02, 0.9, 0.05, 0.03]), np.array([0.2, 0.7, 0.1, 0])
    assert with_sample(p, 1.0, elsewhere) == pytest.approx(p, abs=1e-6)
    lowered = with_sample(p, 0.7, elsewhere)
    left = np.array([0.7 * 0.02 + 0.3 * 0.2, 0.7 * 0.05 + 0.3 * 0.1, 0.7 * 0.03])  # where the mean is found, mostly
    assert lowered[1] == pytest.approx(0.63)
    assert lowered[[0, 2, 3]] == pytest.approx(0.37 * left / left.sum(), abs=1e-3)
    lowered = with_sample(p, 0.3, np.array([0.9, 0.1, 0, 0]))
    assert lowered[1] == lowered.max() == lowered[0] == pytest.approx(0.27)  # nothing is more probable than the number
    assert lowered.sum() == pytest.approx(1)
    assert with_sample(p, 0.0, elsewhere) == pytest.approx([0.25] * 4, abs=1e-3)


def test_a_mean_between_two_numbers_is_shared_by_them():
    density = np.zeros((2, len(GRID)))
    density[0, [np.searchsorted(GRID, 4.25), np.searchsorted(GRID, 4.5)]] = 0.6, 0.4
    density[1, -1] = 1
    shares = by_number(density, np.arange(1, 17))
    assert shares[0] == pytest.approx(np.eye(16)[3] * 0.8 + np.eye(16)[4] * 0.2)
    assert shares[1] == pytest.approx(np.eye(16)[round(GRID[-1]) - 1])


def test_without_chi_the_mean_comes_from_the_magnitude(measured):
    group = measured()
    both, alone = predict_cn(group), predict_cn(group.r, group.chir_mag, element="Cu", transform="own")
    assert alone.cn_mean != both.cn_mean
    assert alone.cn_mean == predict_cn(group, transform="own").cn_mean


def test_a_sample_by_hand():
    says = np.append(density(n4=0.75, n8=0.25), [1.0, 0, 0])[None]
    calibration = {"odds": {"Fe": 1.0}, "levels": {kind: {"Fe": 0.9} for kind in KINDS}}
    (sample,) = describe(says, ["Fe"], calibration)
    assert (sample.cn_mean, sample.cn_std) == (pytest.approx(4, abs=STEP / 2), pytest.approx(3**0.5))
    assert near(density(n3=0.1, n5=0.2), np.array([4])).tolist() == [0]
    half = np.where(np.isin(GRID, [5.25, 5.5, 6, 6.5, 6.75]), 0.2, 0)
    assert near(half, 6) == pytest.approx(0.6)


def test_what_is_told_by_hand():
    told = told_columns(np.array([0.95, np.nan]), np.zeros((2, 119), bool))
    assert told[:, :2].tolist() == [[1, pytest.approx(1)], [0, 0]]


@pytest.mark.parametrize("reads", ["magnitude", "complex"])
def test_where_s02_is_told_spectra_are_brought_to_one(reads):
    chi = np.random.default_rng(0).normal(0, 1, (2, len(features.K_GRID)))
    kmax, nobody, iron = np.array([12.0, 11.0]), np.zeros((2, 119), bool), np.arange(119) == 26
    there = nobody | iron

    def networks_read(chi, s02, there=there):
        return read(features.from_chi(reads, chi, ["Fe", "Cu"], kmax, kmax), told_columns(np.array(s02), there))

    told, other = networks_read(chi, [0.9, 0.6]), networks_read(chi * [[0.5], [1.5]], [0.45, 0.9])
    np.testing.assert_allclose(told, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        told, networks_read(chi * [[S02_CENTER / 0.9], [S02_CENTER / 0.6]], [S02_CENTER] * 2), 1e-4, 1e-6
    )
    untold = networks_read(chi, [np.nan] * 2)
    assert untold.dtype == np.float32
    spectra = features.from_chi(reads, chi, ["Fe", "Cu"], kmax, kmax)
    n, beside = spectra.shape[1], np.column_stack([np.zeros((2, 2)), there])
    np.testing.assert_array_equal(untold[:, : n + TOLD], np.hstack([spectra, beside]))
    assert told[:, n].tolist() == [1, 1]


def test_heights_by_hand():
    r = features.R_POOLED
    magnitude = np.where(r < 1.5, 2.0, np.where(r < 3, 0.5, 0.0))
    known = told_columns(np.array([0.4]), np.zeros((1, 119), bool))
    logarithms = read(np.hstack([magnitude, np.zeros(11)])[None], known)[0, len(r) + 11 + TOLD :]
    assert logarithms == pytest.approx(np.log(np.array([4, 1, 1, 1, 0]) + 1e-3), abs=1e-6)
    phases = np.zeros((1, features.COMPLEX_SIZE))
    for i, height in enumerate((1.0, 2.0, 3.0)):  # of k weights 1, 2 and 3
        phases[0, 3 * i * len(r) : (3 * i + 1) * len(r)] = height
        phases[0, (3 * i + 1) * len(r) : 3 * (i + 1) * len(r)] = -9  # real and imaginary parts
    logarithms = read(phases, np.zeros((1, TOLD)))[0, features.COMPLEX_SIZE + TOLD :]
    assert logarithms == pytest.approx(np.repeat(np.log(np.array([1, 2, 3]) + 1e-3), 5), abs=1e-6)


def test_half_of_the_amplitude_with_half_of_s02_is_the_same_sample(measured):
    group, weak = measured("Cu_foil"), measured("Cu_foil")
    weak.chi, weak.chir_mag = weak.chi / 2, weak.chir_mag / 2
    one, other = predict_cn(group, reference=0.9), predict_cn(weak, reference=0.45)
    assert one.cn_mean == pytest.approx(other.cn_mean, abs=1e-3)
    assert one.interval == pytest.approx(other.interval, abs=1e-3)
    assert one.mixture == pytest.approx(other.mixture, abs=1e-3)
    assert predict_cn(weak).cn_mean != pytest.approx(predict_cn(group).cn_mean, abs=1e-3)
