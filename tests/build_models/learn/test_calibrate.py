"""Temperature, thresholds and calibration error, against numbers worked out by hand or known by construction."""

import numpy as np
import pytest

from build_models.learn import calibrate
from build_models.spectra.dataset import CLASSES
from larch_cnpredict.uncertainty import agreement, prediction_set, temper


def honest(n: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Distributions that are right exactly as often as they say, and the numbers drawn from them."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(16, 0.3), n)
    return p, np.array([rng.choice(CLASSES, p=row) for row in p])


@pytest.mark.parametrize("power", [0.7, 1.0, 2.5])
def test_the_power_undoes_what_made_a_family_too_sure_or_too_shy(power):
    p, cn = honest()
    spoilt = p ** (1 / power) / (p ** (1 / power)).sum(1, keepdims=True)
    assert calibrate.fit_power(spoilt, cn) == pytest.approx(power, rel=0.1)
    before, after = (calibrate.calibration_error(q, cn) for q in (spoilt, temper(spoilt, power)))
    assert after < 0.03
    assert power == 1.0 or before > 3 * after


def test_the_threshold_leaves_out_one_in_ten():
    p = np.zeros((100, 16))
    p[:, 5] = np.arange(1, 101) / 100  # what each site's own number, 6, is given
    flat = np.full(16, 1 / 16)
    thresholds = calibrate.fit_thresholds(p, np.full(100, 6), np.full(100, "Fe"), flat)["thresholds"]
    # rank floor(101 * 0.1) = 10, in units of the root of the prior
    assert thresholds["Fe"] == thresholds["all"] == pytest.approx(4 * 0.10)
    assert thresholds["Ni"] == thresholds["all"]  # no nickel: that of all
    outside = calibrate.fit_thresholds(p, np.full(100, 24), np.full(100, "Fe"), flat)
    assert outside["thresholds"]["all"] == 0.0  # a number that is no class can be in no set


def test_of_too_few_sites_sets_hold_everything():
    assert [calibrate._threshold(np.full(n, 0.5)) for n in (0, 8, 9)] == [0.0, 0.0, 0.5]


def test_sets_hold_the_truth_nine_times_in_ten():
    p, cn = honest(8000)
    elements = np.array(["Fe", "Ni"])[np.arange(len(cn)) % 2]
    fold = np.arange(len(cn)) // 2 % 4
    calibrated, sets, each = calibrate.out_of_fold(p, cn, elements, fold)
    held = sets[np.arange(len(cn)), cn - 1]
    for element in ("Fe", "Ni"):
        assert held[elements == element].mean() == pytest.approx(0.9, abs=0.012)
    for number in CLASSES:
        assert each[cn == number, number - 1].mean() > 0.87
    assert each[sets].all()  # nothing is ruled out that the smaller set holds
    np.testing.assert_allclose(calibrated.sum(1), 1)


def test_calibration_of_a_fold_comes_from_the_others_alone():
    """Fold 0 is wrong wherever it is sure. What fits it does not fit the others, and must not be used for it."""
    sure = np.full((400, 16), 0.02 / 15)
    sure[:, 5] = 0.98
    fold = np.arange(400) % 2
    cn = np.where(fold == 0, 4, 6)
    calibrated, sets, _ = calibrate.out_of_fold(sure, cn, np.full(400, "Fe"), fold)
    assert calibrated[fold == 0, 5].min() > 0.98  # by fold 1, which is always right
    assert CLASSES[sets[0]].tolist() == [6]
    assert calibrated[fold == 1, 5].max() < 0.5  # by fold 0, which never is


def two_witnesses(n: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What two independent witnesses say of numbers that are mostly 6, each by Bayes' rule, and the numbers."""
    rng = np.random.default_rng(1)
    prior = np.r_[np.full(15, 0.02), 0.7][np.roll(np.arange(16), 6)]
    cn = rng.choice(CLASSES, n, p=prior)
    witnesses = []
    for noise in (0.8, 1.5):
        seen = cn + rng.normal(0, noise, n)
        p = prior * np.exp(-((seen[:, None] - CLASSES) ** 2) / 2 / noise**2)
        witnesses.append(p / p.sum(1, keepdims=True))
    return *witnesses, cn


def test_what_two_witnesses_know_alike_is_counted_once():
    """For independent witnesses the product over the prior is exact: the weights must come out as 1, 1 and 1."""
    first, second, cn = two_witnesses()
    weights = calibrate.fit_weights(first, second, calibrate.shares(cn), cn)
    assert weights == pytest.approx([1, 1, 1], abs=0.15)
    elements, fold = np.full(len(cn), "Fe"), np.arange(len(cn)) % 5
    alone, _, _ = calibrate.out_of_fold(first, cn, elements, fold)
    both, sets, _ = calibrate.out_of_fold(first, cn, elements, fold, second)
    right = [(CLASSES[p.argmax(1)] == cn).mean() for p in (alone, both)]
    assert right[1] > right[0] + 0.01
    assert calibrate.calibration_error(both, cn) < 0.03
    assert sets[np.arange(len(cn)), cn - 1].mean() > 0.89


def test_rare_numbers_are_not_those_that_sets_leave_out():
    first, _, cn = two_witnesses()
    _, sets, _ = calibrate.out_of_fold(first, cn, np.full(len(cn), "Fe"), np.arange(len(cn)) % 5)
    flat = calibrate.fit_thresholds(first, cn, np.full(len(cn), "Fe"), np.ones(16))["thresholds"]["Fe"]
    plain = calibrate.members(first, flat)
    rare = np.flatnonzero(cn != CLASSES[np.bincount(cn, minlength=17)[1:].argmax()])
    held, without = (s[rare, cn[rare] - 1].mean() for s in (sets, plain))
    assert held > without + 0.05


def test_one_site_in_two_hundred_contradicts_its_composition():
    first, second, cn = two_witnesses()
    fitted = calibrate.fit(first, cn, np.full(len(cn), "Fe"), {"formula": second})
    below = agreement(temper(first, fitted["power"]), second) < fitted["formula"]["agreement"]
    assert below.mean() == pytest.approx(0.005, abs=0.001)


def test_calibration_error_by_hand():
    p = np.full((4, 16), 0.0)
    p[:, 5] = [0.9, 0.9, 0.6, 0.6]
    p[:, 3] = 1 - p[:, 5]
    # the two at 0.9 are right in half of the cases, the two at 0.6 in all: (0.4 + 0.4) / 2
    assert calibrate.calibration_error(p, np.array([6, 4, 6, 6])) == pytest.approx(0.4)


def test_prediction_sets_by_hand():
    p = np.array([0.05, 0.6, 0.3, 0.05])
    classes = np.array([4, 5, 6, 8])
    assert prediction_set(p, classes, 0.2) == [5, 6]
    assert prediction_set(p, classes, 0.9) == [5]  # never empty
    assert prediction_set(p, classes, 0.05) == [4, 5, 6, 8]
    assert prediction_set(p, classes, np.array([0.04, 0.7, 0.7, 0.04])) == [4, 5, 8]  # a threshold for each


def test_a_number_that_few_have_is_in_each_set():
    p = np.zeros((100, 16))
    p[:, 5] = np.arange(1, 101) / 100
    fitted = calibrate.fit_thresholds(p, np.full(100, 6), np.full(100, "Fe"), np.full(16, 1 / 16))
    assert fitted["each"] == pytest.approx([0.0] * 5 + [0.1] + [0.0] * 10)


def test_what_contradicts_its_composition_is_so_after_calibration():
    first, second, cn = two_witnesses()
    shy = temper(first, 0.4)
    fitted = calibrate.fit(shy, cn, np.full(len(cn), "Fe"), {"formula": second})
    below = agreement(temper(shy, fitted["power"]), second) < fitted["formula"]["agreement"]
    assert below.mean() == pytest.approx(0.005, abs=0.001)
