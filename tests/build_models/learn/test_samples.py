"""Intervals of the mean hold nine of ten, by absorber and by kind; figures against counts by hand."""

import numpy as np
import pytest

from build_models.learn import samples
from larch_cnpredict.samples import GRID, HEADS, ONE, SEVERAL, describe, shortest


def said(rng, truth: np.ndarray, error: float, claimed: float, kind: int) -> np.ndarray:
    """What networks say that are off by `error` and claim `claimed`."""
    center = truth + error * rng.normal(size=len(truth))
    density = np.exp(-(((GRID - center[:, None]) / claimed) ** 2) / 2)
    kinds = np.full((len(truth), HEADS[1]), 0.1)
    kinds[:, kind] = 0.8
    return np.hstack([density / density.sum(1, keepdims=True), kinds])


def drawn(seed: int):
    """Fe is surer than it should be, Ni is less sure; half of the samples are said to be several."""
    rng = np.random.default_rng(seed)
    parts = []
    for element, claimed in (("Fe", 0.5), ("Ni", 2.0)):
        for kind in (ONE, SEVERAL):
            truth = rng.uniform(4, 12, 400)
            says = said(rng, truth, 1.0 if kind == ONE else 1.5, claimed, kind)
            parts.append((says, truth, np.full(400, kind), np.full(400, element)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def test_intervals_hold_nine_of_ten_whatever_the_networks_claim():
    calibration = samples.fit(*drawn(0))
    says, mean, _, elements = drawn(1)
    answers = describe(says, elements.tolist(), calibration)
    held = np.array(
        [low <= true <= high for (low, high), true in zip((a.cn_mean_interval for a in answers), mean, strict=True)]
    )
    width = np.array([np.ptp(answer.cn_mean_interval) for answer in answers])
    kind = np.array([answer.kind for answer in answers])
    assert len(set(kind)) == 2
    for name in set(kind):
        assert held[(elements == "Ni") & (kind == name)].mean() == pytest.approx(0.9, abs=0.05)
    assert width[kind == "one site"].mean() < width[kind != "one site"].mean()
    levels = calibration["levels"]["one site"]
    assert levels["Fe"] > levels["Ni"]
    assert levels["Zn"] not in (levels["Fe"], levels["Ni"])  # there is none: the level of all absorbers together


def test_of_these_nine_each_kind_has_as_many_as_any_other():
    """Mixtures, one in ten, that are taken for single sites and are off by more."""

    def made(seed):
        rng = np.random.default_rng(seed)
        kind = np.where(np.arange(4000) % 10, ONE, SEVERAL)
        truth = rng.uniform(5, 11, 4000)
        says = said(rng, truth + np.where(kind == ONE, 0, 1.2 * rng.normal(size=4000)), 0.8, 1.0, ONE)
        return says, truth, kind, np.full(4000, "Fe")

    calibration = samples.fit(*made(0))
    says, mean, kind, elements = made(1)
    intervals = np.array([a.cn_mean_interval for a in describe(says, elements.tolist(), calibration)])
    held = (intervals[:, 0] <= mean) & (mean <= intervals[:, 1])
    one, several = held[kind == ONE].mean(), held[kind == SEVERAL].mean()
    assert (one + several) / 2 == pytest.approx(0.9, abs=0.02)
    assert several < one < 1


def test_few_single_sites_are_said_to_be_several():
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(4000) % 2, ONE, SEVERAL)
    says = np.full((4000, sum(HEADS)), 1 / HEADS[0])
    several = np.where(kind == ONE, rng.uniform(0, 0.8, 4000), rng.uniform(0.3, 1, 4000))
    says[:, HEADS[0] :] = np.column_stack([1 - several, several, np.zeros(4000)])
    elements = np.full(4000, "Fe")
    calibration = samples.fit(says[:2000], np.full(2000, 6.0), kind[:2000], elements[:2000])
    assert calibration["odds"]["Ni"] == 1  # nobody knows
    answers = describe(says[2000:], elements[2000:].tolist(), calibration)
    alarm = np.array([answer.kind != "one site" for answer in answers])
    assert alarm[kind[2000:] == ONE].mean() == pytest.approx(0.05, abs=0.02)
    assert alarm[kind[2000:] == SEVERAL].mean() == pytest.approx(0.24 / 0.7, abs=0.05)
    assert (alarm == (np.array([answer.mixture for answer in answers]) >= 0.5)).all()


def test_intervals_of_several_levels_are_those_of_each():
    density = np.random.default_rng(0).dirichlet(np.ones(len(GRID)))
    levels = np.array([0.3, 0.9, 1.5])
    np.testing.assert_array_equal(shortest(density, levels), [shortest(density, level) for level in levels])


def test_scores_are_counted():
    y = np.zeros((2, sum(HEADS)))
    y[0, np.searchsorted(GRID, 6)] = y[1, np.searchsorted(GRID, 8)] = 1
    y[0, HEADS[0] + ONE] = y[1, HEADS[0] + SEVERAL] = 1
    intervals, said_kinds = np.array([[5, 6.5], [7, 9.0]]), np.array([ONE, SEVERAL])
    scored = samples.score(
        y, np.array([7.0, 8.0]), np.array([SEVERAL, SEVERAL]), said_kinds, intervals, np.array([4.0, 9.0])
    )
    assert np.isnan(scored.pop("one_called_several"))
    assert scored == {
        "samples": 2,
        "mean_error": pytest.approx(0.5),
        "mean_error_of_absorber_mean": 2.0,
        "coverage": 0.5,
        "width": 1.75,
        "several_called_so": 0.5,
    }
