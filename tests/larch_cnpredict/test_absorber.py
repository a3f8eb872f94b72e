"""Which element absorbs: labels, Larch's guesses, edges that lie together."""

from types import SimpleNamespace

import numpy as np
import pytest
import xraydb
from larch import Group
from larch.io import read_athena
from larch.xafs import autobk, pre_edge, xftf

from larch_cnpredict import errors, predict_cn
from larch_cnpredict.absorber import edge_energy, find_absorber, k_edge
from larch_cnpredict.cli import predict_files
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.request import Request
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import athena


def chi_only(measured, **labels) -> Group:
    group = measured()
    return Group(k=group.k, chi=group.chi, **labels)


@pytest.mark.parametrize(
    "labels",
    [
        {"element": "Fe", "edge": "K"},
        {"attrs": {"element": {"symbol": "fe", "edge": "k"}}},
        {"atsym": "Fe"},
        {"athena_params": SimpleNamespace(bkg=SimpleNamespace(z="Fe"), fft=SimpleNamespace(edge="k"))},
        {"atsym": "?", "athena_params": SimpleNamespace(bkg=SimpleNamespace(z="H")), "e0": 7120.5},
        {"e0": np.float64(7112.0)},
        {"ek0": 7112.0},
        {"attrs": {"element": {"symbol": "Fe", "edge": "K"}}, "atsym": "Ni", "edge": "K"},
    ],
)
def test_absorber_from_metadata_or_e0(measured, labels):
    assert read_spectrum(chi_only(measured, **labels)).element == "Fe"


def test_absorber_from_mu_where_there_is_no_e0(measured):
    group = measured("Ni_foil")
    del group.e0
    assert read_spectrum(group).element == "Ni"
    assert not hasattr(group, "e0")


def test_a_label_decides_between_edges_that_lie_together(measured):
    e0 = xraydb.xray_edge("Yb", "L3").energy  # 35 eV below Cu K
    spectrum = read_spectrum(chi_only(measured, e0=e0))
    assert spectrum.element == "Cu"
    assert "could also be Yb L3" in spectrum.notes[0]
    assert read_spectrum(chi_only(measured, e0=e0, element="Cu")).element == "Cu"
    assert read_spectrum(chi_only(measured, e0=e0), Request(element="Cu")).notes[0].startswith("a copy")


# e0 where Larch guesses an L edge: (e0, what pre_edge writes, what it is)
GUESSED = [
    (7126.5, ("Nd", "L1"), "Fe"),
    (5484.0, ("La", "L3"), "V"),
    (6548.0, ("Ce", "L1"), "Mn"),
    (8357.0, ("Er", "L3"), "Ni"),
]


@pytest.mark.parametrize(("e0", "guess", "element"), GUESSED)
def test_larchs_own_guess_is_no_label(measured, e0, guess, element):
    assert xraydb.guess_edge(e0) == guess
    written = dict(zip(("atsym", "edge"), guess, strict=True))
    spectrum = read_spectrum(chi_only(measured, e0=e0, **written))
    assert spectrum.element == element
    assert f"could also be {' '.join(guess)}" in spectrum.notes[0]
    # pre_edge fills in what is missing beside what the user said
    for label in ({"element": element}, {"atsym": element}, {"element": element, "edge": "K"}):
        assert read_spectrum(chi_only(measured, e0=e0, **{**written, **label})).element == element
    # what Larch writes to an Athena project is the same guess, without its edge
    athena = SimpleNamespace(bkg=SimpleNamespace(z=guess[0]), fft=SimpleNamespace(edge="k"))
    assert read_spectrum(chi_only(measured, e0=e0, **written, athena_params=athena)).element == element


@pytest.mark.parametrize(("e0", "guess", "element"), GUESSED)
def test_a_real_label_is_believed(measured, e0, guess, element):
    symbol, shell = guess
    written = {"atsym": symbol, "edge": shell}
    athena = SimpleNamespace(bkg=SimpleNamespace(z=symbol), fft=SimpleNamespace(edge=shell.lower()))
    for label in (
        {"element": symbol, "edge": shell},
        {"attrs": {"element": {"symbol": symbol, "edge": shell}}},
        {"athena_params": athena},
    ):
        with pytest.raises(errors.UnsupportedAbsorberError, match=f"is the {symbol} {shell} edge, says its label"):
            read_spectrum(chi_only(measured, e0=e0, **{**written, **label}))
    k = xraydb.xray_edge(element, "K").energy
    with pytest.raises(errors.UnsupportedAbsorberError, match="says its label"):
        read_spectrum(chi_only(measured, e0=k, **written))  # no guess of Larch's: from this e0 it takes the K edge


def test_a_guess_from_an_e0_that_was_changed_since_is_no_label(measured):
    source = measured("Ni_foil")
    group = Group(energy=source.energy + 24, mu=source.mu)
    pre_edge(group)
    assert (group.atsym, group.edge) == ("Er", "L3")
    pre_edge(group, e0=8340.0)
    autobk(group)
    assert (group.atsym, group.edge) == ("Er", "L3")
    assert read_spectrum(group).element == "Ni"


@pytest.mark.parametrize("element", ELEMENTS)
def test_no_e0_near_one_of_our_edges_is_refused(element):
    """Every 0.1 eV, with and without what `pre_edge` writes."""
    for e0 in k_edge(element) + np.arange(-30, 50.05, 0.1):
        symbol, edge = xraydb.guess_edge(e0)
        for group in (Group(e0=e0), Group(e0=e0, atsym=symbol, edge=edge), Group(e0=e0, atsym=symbol, edge="K")):
            assert find_absorber(group, "it")[0] == element, (e0, symbol, edge)


@pytest.mark.parametrize(
    ("element", "e0"),
    [
        *[("Fe", e0) for e0 in (7125.7, 7126.8)],
        *[("V", e0) for e0 in (5481.9, 5486.3)],
        *[("Mn", e0) for e0 in (6548.0, 6548.1)],
        *[("Ni", e0) for e0 in (8356.2, 8358.9)],
    ],
)
def test_none_of_them_is_refused_on_the_command_line(measured, tmp_path, element, e0):
    group = measured("Ni_foil")
    table = np.transpose((group.energy - group.e0 + e0, group.mu))
    np.savetxt(tmp_path / "two.dat", table, header="energy mu")
    (row,), _ = predict_files([tmp_path / "two.dat"])
    assert row["absorber"] == f"{element} K", row["notes"]


def test_larchs_guess_in_an_athena_project_is_no_label(measured, tmp_path):
    source = measured("Ni_foil")
    group = Group(energy=source.energy - source.e0 + 7126.5, mu=source.mu, groupname="oxide")
    path = athena(tmp_path / "oxide.prj", group)
    (read,) = read_athena(str(path)).groups.values()
    assert read.athena_params.bkg.z == "Nd"
    (row,), _ = predict_files([path])
    assert row["absorber"] == "Fe K", row["notes"]


def test_an_edge_far_from_the_absorber_that_was_asked_for_is_not_believed(measured):
    answer = predict_cn(measured("Ni_foil"), element="Fe")
    assert answer.element == "Fe"
    assert not answer.in_domain
    assert "absorber taken as Fe K, as asked, though the edge at 8333.0 eV is that of Ni K" in answer.reason
    near = measured("Ni_foil")
    near.e0 += 45
    assert predict_cn(near, element="Ni").in_domain


def test_label_and_edge_that_disagree_are_an_error_unless_overruled(measured):
    group = measured()
    group.element = "Fe"
    with pytest.raises(errors.AbsorberConflictError, match=r"labelled Fe K, but its edge at 8979.* is that of Cu K"):
        read_spectrum(group)
    spectrum = read_spectrum(group, Request(element="Cu"))
    assert spectrum.element == "Cu"
    assert "labelled Fe" in spectrum.notes[0]
    assert "edge at 8979" in read_spectrum(group, Request(element="Fe")).doubts[0]


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ({"e0": 11867.0}, errors.UnsupportedAbsorberError, "is As, by its edge at 11867.0 eV"),
        ({"element": "Br"}, errors.UnsupportedAbsorberError, "Br, says its label.*K edges of Sc, Ti"),
        ({"element": "Pt", "edge": "L3"}, errors.UnsupportedAbsorberError, "Pt L3 edge, says its label.*K edges of Sc"),
        ({"element": "Cu", "edge": "L3"}, errors.UnsupportedAbsorberError, "Cu L3 edge"),
        ({"e0": 11564.0}, errors.UnsupportedAbsorberError, "Pt L3 edge, by its edge at 11564.0 eV"),
        ({"e0": 708.0}, errors.UnsupportedAbsorberError, "Fe L3 edge"),
        ({"e0": 6000000.0}, errors.UnknownAbsorberError, "no edge is known within 50 eV"),
        ({"e0": float("nan")}, errors.UnknownAbsorberError, "neither metadata"),
    ],
)
def test_absorbers_that_are_refused(measured, labels, error, sentence):
    group = chi_only(measured, **labels)
    with pytest.raises(error, match=sentence):
        read_spectrum(group)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"element": "Xx"}, errors.OptionError),
        ({"element": "Pt"}, errors.UnsupportedAbsorberError),
        ({"element": "Cu", "edge": "L3"}, errors.UnsupportedAbsorberError),
    ],
)
def test_absorbers_asked_for_that_are_refused(measured, kwargs, error):
    with pytest.raises(error):
        read_spectrum(measured(), Request(**kwargs))


def test_a_guess_from_far_away_is_no_label(measured):
    group = chi_only(measured, e0=8810.4, atsym="Cu", edge="K")  # as pre_edge leaves it: Cu K is the nearest edge
    with pytest.raises(errors.UnknownAbsorberError, match=r"no edge is known within 50 eV of e0 = 8810\.4 eV"):
        read_spectrum(group)


def test_the_edge_of_a_mu_in_any_order(measured):
    group = measured("Ni_foil")
    order = np.random.default_rng(0).permutation(len(group.mu))
    found = [edge_energy(Group(energy=group.energy[i], mu=group.mu[i])) for i in (slice(None), order)]
    assert found[1] == found[0] == pytest.approx(8333, abs=5)


def test_an_edge_of_another_element_inside_the_data_is_said(measured):
    group = measured("Ni_foil")  # K at 8333 eV; of copper at 8979 eV, that is 13.0 Å^-1
    note = (
        "another edge of the sample, Cu K, at 8979 eV, is at k = 13.0 Å^-1, inside what is read: give autobk and xftf"
    )
    xftf(group, kmin=3, kmax=14, kweight=2, dk=1, window="hanning")
    assert any(n.startswith(note) for n in predict_cn(group, elements="Ni Cu").notes)
    for kmax, elements in ((12, "Ni Cu"), (14, "Ni O")):
        xftf(group, kmin=3, kmax=kmax, kweight=2, dk=1, window="hanning")
        assert not any("another edge" in n for n in predict_cn(group, elements=elements).notes)
