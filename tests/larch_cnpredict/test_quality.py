"""What mu(E) shows is said where it is there, and nowhere else."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from larch import Group
from larch.xafs import autobk, pre_edge, xftf
from larch.xafs.xafsutils import KTOE
from scipy.interpolate import CubicSpline

from larch_cnpredict import predict_cn, quality
from larch_cnpredict.models import load_models
from larch_cnpredict.predict import predict_spectra
from larch_cnpredict.request import Request
from larch_cnpredict.result import is_stale
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING
from tests.larch_cnpredict.test_reading import EDGE, chromate

MEASURED = Path(__file__).parents[3] / "shared" / "measured"  # beside the checkout, for the developers alone


def edge(peak=0.0, below=11.0, width=1.2, step=0.5, white=0.4) -> Group:
    """An edge of Cr without EXAFS, a peak before it and a white line upon it."""
    energy = np.arange(EDGE - 60, EDGE + 60, step)
    norm = 0.5 + np.arctan((energy - EDGE - 10) / 1.5) / np.pi + white * np.exp(-(((energy - EDGE - 14) / 3) ** 2))
    return Group(energy=energy, norm=norm + peak * np.exp(-(((energy - EDGE - 10 + below) / width) ** 2)))


@pytest.mark.parametrize("peak", [0.2, 0.45, 0.9, 1.1])
@pytest.mark.parametrize("step", [0.1, 0.5, 0.9])
def test_a_peak_that_six_neighbours_do_not_have_is_seen(peak, step):
    energy, height = quality.pre_edge_peak(edge(peak, step=step), "Cr")
    assert abs(energy - EDGE + 1) <= 0.5
    assert abs(height - peak) < 0.1 + 0.2 * peak * (step > 0.5)


def test_a_shoulder_a_white_line_a_glitch_a_small_peak_and_other_metals_are_no_such_peak():
    assert quality.pre_edge_peak(edge(0.1), "Cr") is None
    assert quality.pre_edge_peak(edge(0.0, white=0.9), "Cr") is None
    assert quality.pre_edge_peak(edge(0.3, below=3.5), "Cr") is None  # as metals have it
    assert quality.pre_edge_peak(edge(0.9, width=0.1), "Cr") is None
    for far in (30, -20):
        assert quality.pre_edge_peak(edge(0.9, below=far), "Cr") is None
    wiggles = edge(0.0)
    wiggles.norm[wiggles.energy > EDGE + 12] -= 0.45 * np.sin((wiggles.energy[wiggles.energy > EDGE + 12] - EDGE) / 2)
    assert quality.pre_edge_peak(wiggles, "Cr") is None
    assert quality.pre_edge_peak(edge(0.9), "Cr")
    iron = edge(0.9)
    iron.energy += 7112 - EDGE
    assert quality.pre_edge_peak(iron, "Fe") is None
    assert quality.pre_edge_peak(Group(energy=iron.energy), "Ti") is None
    for seed in range(10):  # nor is the highest of many points of noise
        noisy = edge(step=0.1)
        noisy.norm = noisy.norm + np.random.default_rng(seed).normal(0, 0.05, len(noisy.norm))
        assert quality.pre_edge_peak(noisy, "Cr") is None
    whole = edge(0.9)
    whole.norm = (1000 * whole.norm).astype(int) // 1000
    assert quality.pre_edge_peak(whole, "Cr") is None
    broken = edge(0.9)
    broken.norm[100:] = np.nan
    assert quality.pre_edge_peak(broken, "Cr") is None


def test_a_pre_edge_peak_is_said_where_the_answer_has_no_site_for_it(measured):
    said = "mu(E) has a peak of 0.5"
    assert said in " ".join(predict_cn(chromate(bond=1.9, peak=0.45)).notes)
    assert "mu(E) has a peak" not in " ".join(predict_cn(chromate(bond=1.9, peak=0.05)).notes)
    for stem, silent in (("CuO", True), ("Cu_foil", False)):  # of four neighbours, and twelve
        spectrum = replace(read_spectrum(measured(stem)), pre_edge_peak=(8975.0, 0.52))
        (answer,) = predict_spectra([spectrum], Request(), load_models())
        assert (said in " ".join(answer.notes)) is not silent
    group = chromate(bond=1.9, peak=0.45)
    predict_cn(group)
    group.norm = group.norm - 0.3 * (np.abs(group.energy - 5978) < 2)
    assert is_stale(group)


@pytest.mark.parametrize("shift", [-50, -30, 30, 50])
def test_a_wrong_e0_is_no_mu_that_falls(measured, shift):
    group = measured("Ni_foil")
    pre_edge(group, e0=group.e0 + shift)
    assert not quality.falls(group)
    group.mu = -group.mu
    pre_edge(group, e0=measured("Ni_foil").e0)
    assert quality.falls(group)


def changed(group: Group, kept=None, at: float = 0.0, by: float = 0.0) -> Group:
    """The foil with one point of mu moved, by so much of the edge step, and with points left out."""
    mu = group.mu.copy()
    mu[np.abs(group.energy - at).argmin()] += by * group.edge_step
    rows = slice(None) if kept is None else kept
    made = Group(energy=group.energy[rows], mu=mu[rows], filename="changed")
    pre_edge(made)
    autobk(made, rbkg=1, kweight=2)
    xftf(made, **TRAINING)
    return made


@pytest.mark.parametrize("by", [0.02, -0.3])
def test_a_point_that_stands_out_of_mu_is_said(measured, by):
    foil = measured("Cu_foil")
    at = foil.energy[np.abs(foil.energy - 9300).argmin()]
    answer = predict_cn(changed(foil, at=at, by=by))
    (said,) = [note for note in answer.notes if "stands out" in note]
    assert said.startswith(f"mu(E) has a point at {at:.1f} eV that stands out by 0.")
    assert abs(float(said.split(" by ")[1].split()[0]) - abs(by)) < 0.3 * abs(by)
    assert not [note for note in predict_cn(changed(foil, at=at, by=0.001)).notes if "stands out" in note]
    assert not [
        note for note in predict_cn(changed(foil, at=8990.0, by=0.02)).notes if "stands out" in note
    ]  # not read


def test_a_gap_in_mu_is_said(measured):
    foil = measured("Cu_foil")
    answer = predict_cn(changed(foil, kept=(foil.energy < 9250) | (foil.energy > 9330)))
    (said,) = [note for note in answer.notes if "no points" in note]
    low, high = (float(said.split(word)[1].split()[0]) for word in ("from ", " to "))
    assert 9240 < low < 9250 < 9330 < high < 9340
    beyond = changed(foil, kept=(foil.energy < 9700) | (foil.energy > 9780))  # of kmax
    assert not [note for note in predict_cn(beyond).notes if "no points" in note]
    for low, high in ((9000, 9060), (9490, 9560)):  # over kmin, over kmax
        over = changed(foil, kept=(foil.energy < low) | (foil.energy > high))
        assert [note for note in predict_cn(over).notes if "no points" in note]


def test_an_oscillation_that_dies_out_soon_is_no_point_that_stands_out():
    energy = 9000 + np.r_[np.arange(-20, 40, 0.5), np.arange(40, 700, 5.0)]
    k = np.sqrt(np.maximum(energy - 9000, 0) / KTOE)
    mu = (energy > 9000) * (1 + np.exp(-k) * np.sin(2 * 4 * k))
    assert quality.remarks(Group(energy=energy, mu=mu, e0=9000.0, edge_step=1), 3, 12) == []


def test_a_point_that_was_mended_is_not_said_again(measured):
    foil = measured("Cu_foil")
    group = changed(foil, at=9300.0, by=0.3)
    i = int(np.abs(group.energy - 9300).argmin())
    group.mu[i] = (group.mu[i - 1] + group.mu[i + 1]) / 2
    autobk(group, rbkg=1, kweight=2)
    xftf(group, **TRAINING)
    assert not [note for note in predict_cn(group).notes if "stands out" in note]


def test_a_step_of_mu_is_no_point_that_stands_out(measured):
    foil = measured("Cu_foil")
    for height in (0.05, -0.3):
        mu = foil.mu + height * foil.edge_step * (np.arctan((foil.energy - foil.e0 - 400) / 0.5) / np.pi + 0.5)
        (said,) = quality.remarks(Group(energy=foil.energy, mu=mu, e0=foil.e0, edge_step=foil.edge_step), 3, 12)
        assert said.startswith("mu(E) steps by 0.")
        assert abs(float(said.split("step at ")[1].split()[0]) - foil.e0 - 400) < 5


@pytest.mark.parametrize("near", [0.02, 0.005, 0.001, 0.0])
def test_energies_that_lie_close_together_or_come_twice_make_no_glitch_and_hide_none(measured, near):
    foil = measured("Cu_foil")
    rng, at = np.random.default_rng(0), np.arange(200, 260, 20)
    order = np.argsort(energy := np.append(foil.energy, foil.energy[at] + near), kind="stable")
    mu = (np.append(foil.norm, foil.norm[at]) + rng.normal(0, 3e-4, len(energy)))[order]
    group = Group(energy=energy[order], mu=mu, e0=foil.e0, edge_step=1)
    assert quality.remarks(group, 3, 12) == []
    group.mu[np.abs(group.energy - 9300).argmin()] += 0.1
    assert "mu(E) has a point at 9299.3 eV" in quality.remarks(group, 3, 12)[0]


def test_noise_is_nothing_that_stands_out(measured):
    foil = measured("Cu_foil")
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 0.01, len(foil.norm))
        assert quality.remarks(Group(energy=foil.energy, mu=foil.norm + noise, e0=foil.e0, edge_step=1), 3, 12) == []
    for rows in (slice(None, None, -1), slice(0, 30)):
        assert (
            quality.remarks(Group(energy=foil.energy[rows], mu=foil.norm[rows], e0=foil.e0, edge_step=1), 3, 12) == []
        )


@pytest.mark.parametrize("fine", [30, 60, 100])
@pytest.mark.parametrize("step", [3.0, 4.0, 5.0])
def test_where_points_begin_to_lie_apart_nothing_stands_out(measured, fine, step):
    """Oscillations leave a cubic through points 5 eV apart, where points half an eV apart hardly do."""
    foil = measured("Cu_foil")
    energy = foil.e0 + np.r_[np.arange(-20, fine, 0.5), np.arange(fine, 700, step)]
    norm = CubicSpline(foil.energy, foil.norm)(energy)
    assert quality.remarks(Group(energy=energy, mu=norm, e0=foil.e0, edge_step=1), 2, 13) == []
    at = np.abs(energy - foil.e0 - 500).argmin()  # at k = 11.5 they are near each other again
    norm[at] += 0.05
    assert "stands out by" in quality.remarks(Group(energy=energy, mu=norm, e0=foil.e0, edge_step=1), 2, 13)[0]


@pytest.mark.skipif(not MEASURED.is_dir(), reason="needs ../shared, which is not with the project")
def test_three_of_the_measured_spectra_have_a_glitch_and_none_a_gap():
    said = {}
    with (MEASURED / "index.csv").open() as file:
        for row in csv.DictReader(file):
            energy, mu = np.loadtxt(MEASURED / row["file"], unpack=True)
            group = Group(energy=energy, mu=mu)
            pre_edge(group)
            said[row["file"]] = quality.remarks(group, 3, 14)
    assert len(said) == 46
    assert {file for file, remarks in said.items() if remarks} == {
        "Cr_Cr2O3_m005.dat",
        "Cu_CuO_m183.dat",
        "Fe_Fe_m275.dat",
    }
    assert not [one for remarks in said.values() for one in remarks if "no points" in one]
