"""The figures on five sites, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from build_models.report import scores
from build_models.spectra.dataset import CLASSES
from tests.build_models import synthetic

CN = np.array([6, 6, 4, 12, 4])


@pytest.fixture
def five():
    few = synthetic.dataset(5)
    return replace(
        few,
        cn=CN,
        labels=np.eye(16, dtype=np.float32)[CN - 1],
        weight=np.array([1.0, 0.5, 0.9, 0.9, 0.81]),
        elements=np.array(["Fe", "Fe", "Fe", "Ni", "Ni"]),
    )


def certain(numbers) -> np.ndarray:
    return np.eye(16)[np.array(numbers) - 1]


def members(*sets: list[int]) -> np.ndarray:
    return np.array([np.isin(CLASSES, numbers) for numbers in sets])


def test_rates_by_hand(five):
    rates = scores.rates(five, np.arange(5), np.array([6, 4, 5, 12, 6]))
    assert rates["accuracy"] == pytest.approx(2 / 5)
    assert rates["clear"] == pytest.approx(2 / 4)  # the second, with weight 0.5, is not clear
    assert rates["within1"] == pytest.approx(3 / 5)
    # F1 of 4: 0, of 6: 2 * 1/2 * 1/2 / (1/2 + 1/2), of 12: 1; 5 is no number of theirs, 24 none that anybody could say
    assert rates["macro_f1"] == pytest.approx((0 + 0.5 + 1) / 3)
    beyond = replace(five, cn=np.array([6, 6, 4, 12, 24]))
    assert scores.rates(beyond, np.arange(5), np.array([6, 4, 5, 12, 6]))["macro_f1"] == pytest.approx(
        (0 + 0.5 + 1) / 3
    )
    assert np.isnan(scores.rates(beyond, np.array([4]), np.array([6, 4, 5, 12, 6]))["macro_f1"])
    assert scores.rates(five, np.array([3]), np.array([6, 4, 5, 12, 6]))["accuracy"] == 1
    unclear = scores.rates(five, np.array([1]), np.array([6, 6, 6, 6, 6]))
    assert np.isnan(unclear["clear"])
    assert unclear["accuracy"] == 1


def test_scores_of_distributions_by_hand(five):
    p = certain([6, 4, 5, 12, 6])
    p[0] = 0.5 * certain([6])[0] + 0.5 * certain([4])[0]
    sets = members([4, 6], [4], [5], [12], [4, 6, 8])
    found = scores.score(five, np.arange(5), p, sets)
    assert found["coverage"] == pytest.approx(3 / 5)
    assert found["set_size"] == pytest.approx(8 / 5)
    assert found["mean_error"] == pytest.approx((1 + 2 + 1 + 0 + 2) / 5)
    wrong = -np.log(1e-4)  # a number that was given no chance
    assert found["log_loss"] == pytest.approx((np.log(2) + 3 * wrong) / 5)
    half = scores.score(five, np.array([0, 3]), p, sets)
    assert (half["accuracy"], half["coverage"], half["set_size"]) == (0.5, 1.0, 1.5)  # of 4 and 6, 4 comes first


def test_the_majority_does_not_see_its_own_fold(five):
    fold = np.array([0, 0, 1, 0, 1])
    # fold 0, Fe: fold 1 has Fe with 4; Ni: 4. Fold 1, Fe: 6; Ni: 12
    assert scores.majority(five, fold).tolist() == [4, 4, 6, 4, 12]
    alone = np.array([0, 1, 2, 3, 3])  # no nickel outside its fold: the commonest of all others
    assert scores.majority(five, alone)[3:].tolist() == [6, 6]


def test_every_absorber_has_its_own_line(five):
    guess = np.array([6, 6, 6, 12, 12])
    lines = scores.by_absorber(five, scores.rates, guess=guess)
    assert {name: line["accuracy"] for name, line in lines.items()} == {
        "all": pytest.approx(3 / 5),
        "Fe": pytest.approx(2 / 3),
        "Ni": pytest.approx(1 / 2),
    }


def test_what_becomes_of_each_number(five):
    sets = members([6], [4, 6], [4, 6], [4], [6])
    each = members([4, 6], [4, 6], [6, 4], [12], [6])
    lines = scores.by_number(five, certain([6, 4, 6, 4, 6]), sets, each)
    assert lines["4"] == {"sites": 2, "found": 0.0, "coverage": 0.5, "each": 0.5, "taken_for": 6}
    assert lines["6"] == {"sites": 2, "found": 0.5, "coverage": 1.0, "each": 1.0, "taken_for": 4}
    assert lines["12"] == {"sites": 1, "found": 0.0, "coverage": 0.0, "each": 1.0, "taken_for": 4}
    assert set(lines) == {"4", "6", "12"}


def test_the_table_is_described_as_it_is(five):
    rare = replace(five, cn=np.array([6, 6, 4, 20, 4]), labels=five.labels * (CN != 12)[:, None])
    described = scores.describe(rare)
    assert described["per_absorber"] == {"Fe": 3, "Ni": 2}
    assert (described["sites"], described["clear"], described["not_labelled_1_to_16"]) == (5, 4, 1)
    assert described["prototypes"] == 2
    assert 20 not in CLASSES
    names = ["mp-30", "mvc-4", "amcsd-0000012:2", "Fe2O3-hematite", "goethite"]
    five = replace(five, sites=np.array([f"{name} site 0" for name in names]))
    assert scores.describe(five)["sources"] == {"mp": 1, "mvc": 1, "amcsd": 1, "files": 2}


def test_who_is_sure_and_who_of_these_is_right():
    p = np.zeros((4, 16))
    p[[0, 1, 2, 3], [5, 5, 3, 3]] = [0.9, 0.8, 0.7, 1.0]
    found = scores.sure(p, np.array([6, 4, 4, 4]))
    assert found["sites"] == 4
    assert found["sure"] == pytest.approx(3 / 4)
    assert found["right"] == pytest.approx(2 / 3)
    assert found["mean"] == pytest.approx(0.9)
    assert found["calibration_error"] == pytest.approx((0.1 + 0.8 + 0.3 + 0) / 4)


def test_the_calibration_error_of_some_rows_is_theirs(five):
    p = certain([6, 4, 4, 12, 6])
    sets = members(*[[6]] * 5)
    assert scores.score(five, np.array([0, 2, 3]), p, sets)["calibration_error"] == pytest.approx(0)
    assert scores.score(five, np.array([1, 4]), p, sets)["calibration_error"] == pytest.approx(1)
