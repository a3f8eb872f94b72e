"""mu(E) is read again where e0 or rbkg are suspicious, from a copy, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from larch import Group
from larch.utils import copy_xafs_group
from larch.xafs import autobk, pre_edge, xftf
from larch.xafs.xafsutils import KTOE

from larch_cnpredict import explain, predict_cn, reading
from larch_cnpredict.result import KINDS, ONE_SITE, is_stale
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING, WRITTEN, contents

EDGE = 5989.0  # eV, Cr K


def chromate(bond: float = 1.63, peak: float = 0.9, e0: float | None = None, below: float = 11, **background) -> Group:
    """Made mu(E) of a tetrahedron with a pre-edge peak some eV below the edge, after pre_edge, autobk and xftf."""
    near, k = np.arange(EDGE - 30, EDGE + 40, 0.5), np.arange(3.3, 14, 0.05)
    energy = np.concatenate([np.arange(EDGE - 150, EDGE - 30, 5), near, EDGE + KTOE * k**2])
    k = np.sqrt(np.maximum(energy - EDGE, 0) / KTOE)
    chi = 4 * 0.4 * np.sin(2 * k * bond - 0.9 * k + 3) * np.exp(-0.005 * k**2 - 0.3 * k) * (1 - np.exp(-((k / 2) ** 4)))
    mu = 0.5 + np.arctan((energy - EDGE) / 1.5) / np.pi + peak * np.exp(-(((energy - EDGE + below) / 1.2) ** 2))
    group = Group(energy=energy, mu=mu * (1 + chi) + 0.3, filename="made")
    pre_edge(group, e0=e0)
    autobk(group, **{"rbkg": 1.0, "kweight": 2} | background)
    xftf(group, **TRAINING)
    return group


@pytest.mark.parametrize("below", [8, 13])
def test_e0_on_a_pre_edge_peak_is_read_again_on_the_edge(below):
    group = chromate(below=below)
    assert group.e0 < EDGE - below + 2  # what find_e0 takes
    before = contents(group, WRITTEN)
    answer = predict_cn(group)
    assert contents(group, WRITTEN) == before
    spectrum = read_spectrum(group)
    assert abs(float(spectrum.made.split()[2]) - EDGE) < 2
    assert f"the group's e0 = {group.e0:.1f} eV is not on the edge" in " ".join(answer.notes)
    again = chromate(below=below, e0=float(spectrum.made.split()[2]), rbkg=spectrum.rbkg)
    np.testing.assert_allclose(spectrum.chi, np.interp(spectrum.k, again.k, again.chi), atol=1e-4)


def test_with_e0_far_too_low_the_edge_is_found_beyond_the_pre_edge_peak():
    spectrum = read_spectrum(chromate(peak=0.75, e0=EDGE - 36))  # of an edge step that is too small the peak is as high
    assert abs(float(spectrum.made.split()[2]) - EDGE) < 2


def test_a_copy_by_larch_which_has_no_norm_is_read_as_the_group(measured):
    group = measured("Cu_foil")
    autobk(group, ek0=group.e0 - 15, rbkg=1, kweight=2)
    xftf(group, **TRAINING)
    copy = copy_xafs_group(group)
    assert not hasattr(copy, "norm")
    answer, again = predict_cn(group), predict_cn(copy)
    assert "is not on the edge" in " ".join(again.notes)
    assert (again.notes, again.cn, again.fingerprint) == (answer.notes, answer.cn, answer.fingerprint)


def test_an_e0_where_mu_is_steepest_is_on_the_edge_however_slow_the_edge(monkeypatch):
    group = chromate(peak=0)
    monkeypatch.setattr(reading, "TOO_LOW", -9.0)  # the middle of the step is said to be far beyond
    assert reading._misplaced(group, group.e0 - 3) == pytest.approx(group.e0, abs=1)
    assert reading._misplaced(group, reading.find_e0(group)) is None


@pytest.mark.parametrize(("of_larch", "taken"), [(EDGE + 1, EDGE + 1), (EDGE - 13, EDGE)])  # on the edge, on the peak
def test_the_edge_is_where_larch_finds_it_unless_that_is_on_the_pre_edge_peak(monkeypatch, of_larch, taken):
    group = chromate(below=13)
    there = group.energy[np.abs(group.energy - of_larch).argmin()]
    monkeypatch.setattr(reading, "find_e0", lambda group: there)
    assert abs(reading._misplaced(group, EDGE - 13) - taken) < 0.6


@pytest.mark.parametrize(("shift", "again"), [(-10, True), (0, False), (3, False), (10, True)])
def test_e0_beside_the_edge_is_read_again(shift, again):
    spectrum = read_spectrum(chromate(bond=2.0, peak=0.05, e0=EDGE + shift))
    assert ("e0" in spectrum.made) == again


def test_a_first_peak_near_rbkg_is_read_with_less_and_the_users_own_settings():
    group = chromate(peak=0.05, rbkg=1.2, kweight=1, clamp_hi=5)
    before = contents(group, WRITTEN)
    spectrum = read_spectrum(group)
    assert contents(group, WRITTEN) == before
    assert (spectrum.made, spectrum.others[0].made) == ("rbkg = 0.7 Å", "rbkg = 1.2 Å")
    np.testing.assert_array_equal(spectrum.others[0].chi, group.chi)
    np.testing.assert_array_equal(spectrum.chi, chromate(peak=0.05, rbkg=0.7, kweight=1, clamp_hi=5).chi)
    assert "with a background of its own" in " ".join(predict_cn(group).notes)
    assert not read_spectrum(chromate(peak=0.05, rbkg=0.7)).made


def test_the_first_peak_is_looked_for_after_e0_is_mended():
    for shift in (-15, 15, 40):  # with these its place in R is another, or e0 is beside the window of norm
        spectrum = read_spectrum(chromate(peak=0.05, e0=EDGE + shift))
        e0, rbkg = spectrum.made.split(" and ")
        assert abs(float(e0.split()[2]) - EDGE) < 2
        assert rbkg == "rbkg = 0.7 Å"
        assert spectrum.others[0].made == f"e0 = {EDGE + shift:.6g} eV and rbkg = 1 Å"


def test_a_chi_that_is_not_of_its_mu_is_left_alone():
    group = chromate(rbkg=1.2)
    assert read_spectrum(group).others
    autobk(group.energy, group.mu + 0.3 * (group.mu - group.pre_edge), group=group, rbkg=1.2, kweight=2, edge_step=0.5)
    xftf(group, **TRAINING)
    spectrum = read_spectrum(group)  # corrected for over-absorption, say
    assert spectrum.others == ()
    np.testing.assert_array_equal(spectrum.chi, group.chi)


@pytest.mark.parametrize("stem", ["Cu_foil", "Ni_foil", "CuO"])
def test_what_is_plain_is_read_once(measured, monkeypatch, stem):
    monkeypatch.setattr(reading, "_background", None)  # calling it would fail
    group = measured(stem)
    assert read_spectrum(group).others == ()
    assert [note for note in predict_cn(group).notes if not note.startswith("p is lowered")] == []


def test_both_answers_are_given_where_they_differ():
    group = chromate(rbkg=1.2)
    spectrum, answer = read_spectrum(group), predict_cn(group)
    answer = replace(answer, kind=ONE_SITE)
    assert reading.compare([spectrum], [answer, answer]) == [answer]
    other = replace(answer, cn=answer.cn + 2)
    (said,) = reading.compare([spectrum], [answer, other])
    (note,) = set(said.notes) - set(answer.notes)
    assert note.endswith(f"CN {answer.cn} with {spectrum.made}, CN {other.cn} with {spectrum.others[0].made}")


def test_of_a_mixture_the_means_are_compared():
    group = chromate(rbkg=1.2)
    spectrum = read_spectrum(group)
    mixed = replace(predict_cn(group), kind=KINDS[1], cn_mean=5.0, cn_mean_interval=[4.5, 5.5])
    near = replace(mixed, cn=mixed.cn + 2, cn_mean=5.4)
    assert reading.compare([spectrum], [mixed, near]) == [mixed]
    far = replace(mixed, cn_mean=5.6, cn_mean_interval=[5, 6])
    (said,) = reading.compare([spectrum], [mixed, far])
    (note,) = set(said.notes) - set(mixed.notes)
    assert note.startswith("the answer depends on it: mean CN 5.0 [4.5, 5.5] with")
    assert f"mean CN 5.6 [5.0, 6.0] with {spectrum.others[0].made}" in note
    assert far.differs(replace(far, kind=ONE_SITE, cn_mean=5.0))


def test_without_mu_the_answer_says_where_it_depends_on_e0(measured):
    whole = measured("CuO")
    bare = Group(k=whole.k, chi=whole.chi, e0=whole.e0, filename="bare")
    xftf(bare, **TRAINING)
    assert predict_cn(bare).probabilities == pytest.approx(predict_cn(whole).probabilities, abs=1e-6)
    low, high = read_spectrum(bare).others
    assert (low.made, high.made) == ("e0 5 eV lower", "e0 5 eV higher")
    k = high.k[-20:]
    np.testing.assert_allclose(high.chi[-20:], np.interp(np.sqrt(k**2 + 5 / KTOE), whole.k, whole.chi))
    for one in (low, high):  # what reads magnitudes alone sees it too
        made = Group()
        xftf(one.k, one.chi, group=made, **TRAINING)
        np.testing.assert_allclose(one.chir_mag, made.chir_mag)
        assert abs(one.chir_mag - whole.chir_mag).max() > 0.01


def test_the_answer_is_stale_when_mu_changes_what_was_read():
    group = chromate(rbkg=1.2)
    answer = predict_cn(group)
    assert not is_stale(group)
    assert explain(group).prediction.probabilities == answer.probabilities
    group.rbkg = 1.1  # which notes and reasons are about
    assert is_stale(group)
    group.rbkg = 1.2
    assert not is_stale(group)
    group.mu = group.mu + 0.02 * np.sin(group.energy / 40)
    assert is_stale(group)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_mu_that_autobk_cannot_read_leaves_the_groups_own():
    group = chromate(rbkg=1.2)
    group.mu[60:] = np.nan
    spectrum = read_spectrum(group)
    np.testing.assert_array_equal(spectrum.chi, group.chi)


def test_high_peaks_are_those_of_first_shells():
    r = np.arange(0, 6, 0.03)
    peaks = ((0.5, 1.5), (1.5, 1.0), (2.4, 0.5), (3.0, 0.3), (4.0, 3.0))
    chir_mag = sum(height * np.exp(-(((r - at) / 0.15) ** 2)) for at, height in peaks)
    assert reading.high_peaks(r, chir_mag) == pytest.approx([1.5, 2.4], abs=0.02)


@pytest.mark.parametrize(
    ("below", "peak", "again"),
    [(7, 0.0, True), (10, 0.06, True), (7, 0.08, False)],
    ids=["at the foot", "far below, though on a shoulder", "on a shoulder as of metals"],
)
def test_e0_may_be_on_a_shoulder_and_not_far_below_the_edge(below, peak, again):
    spectrum = read_spectrum(chromate(bond=2.0, peak=peak, below=below, e0=EDGE - below))
    assert ("e0" in spectrum.made) == again


def test_with_a_misplaced_e0_kmax_is_that_of_the_data_that_are_left():
    group = chromate(bond=2.0, peak=0.05, e0=EDGE - 10)
    xftf(group, **{**TRAINING, "kmax": 14})
    spectrum = read_spectrum(group)
    assert "e0" in spectrum.made
    assert spectrum.kmax == spectrum.xftf["kmax"] == spectrum.k[-1] < 14


def test_the_e0_of_autobk_counts_where_it_has_one_of_its_own():
    assert "e0" in read_spectrum(chromate(bond=2.0, peak=0.05, e0=EDGE, ek0=EDGE - 10)).made


def test_the_users_pre_edge_is_shared():
    lines = {"pre1": -90, "pre2": -60, "norm1": 200, "norm2": 500, "nnorm": 1}
    group = chromate(bond=2.0, peak=0.05, e0=EDGE - 10)
    pre_edge(group, e0=EDGE - 10, **lines)
    autobk(group, rbkg=1.0, kweight=2)
    xftf(group, **TRAINING)
    spectrum = read_spectrum(group)
    again = Group(energy=group.energy, mu=group.mu)
    e0 = reading._misplaced(group, group.e0)
    pre_edge(again, e0=e0, **lines)
    autobk(again, ek0=e0, rbkg=spectrum.rbkg, kweight=2)
    np.testing.assert_allclose(spectrum.chi, again.chi, atol=1e-12)


def test_without_mu_no_chi_is_made_up_beyond_the_data(measured):
    whole = measured("CuO")
    low, high = read_spectrum(Group(k=whole.k, chi=whole.chi, e0=whole.e0)).others
    assert np.sqrt(high.k[-1] ** 2 + 5 / KTOE) <= whole.k[-1] + 1e-9
    assert np.sqrt(low.k[-1] ** 2 - 5 / KTOE) <= whole.k[-1] + 1e-9


@pytest.mark.parametrize("background", [{"kstep": 0.04}, {"kstep": 0.025}, {}])
def test_steps_of_k_do_not_decide_what_is_read_again(background):
    group = chromate(bond=2.0, peak=0.05, e0=EDGE - 10, **background)
    assert "e0" in read_spectrum(group).made
    group.k, group.chi = np.append(0.001, group.k[1:]), group.chi  # of no step
    assert "e0" in read_spectrum(group).made


@pytest.mark.parametrize(("end", "others"), [(8.5, 1), (9.0, 2)])
def test_no_other_e0_leaves_fewer_data_than_the_models_read(measured, end, others):
    group = measured("Cu_foil")
    inside = group.k < end + 0.01
    spectrum = read_spectrum(Group(k=group.k[inside], chi=group.chi[inside], e0=group.e0))
    assert len(spectrum.others) == others
