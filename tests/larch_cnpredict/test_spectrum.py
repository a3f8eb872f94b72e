"""Absorber, transform and bad input, on measured spectra."""

from types import SimpleNamespace

import numpy as np
import pytest
import xraydb
from larch import Group
from larch.xafs import xftf

from larch_cnpredict import errors
from larch_cnpredict.features import ELEMENTS, transform
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING, contents


def test_a_training_transform_is_used_as_it_is(measured):
    group = measured(**TRAINING)
    spectrum = read_spectrum(group)
    assert (spectrum.element, spectrum.edge) == ("Cu", "K")
    assert not spectrum.transformed
    assert spectrum.notes == ()
    assert spectrum.kmax == 12
    np.testing.assert_array_equal(spectrum.chir_mag, group.chir_mag)


@pytest.mark.parametrize(
    ("settings", "kmax"),
    [
        ({}, 12),
        ({"kmin": 2, "kmax": 11, "kweight": 2, "dk": 4, "window": "Kaiser-Bessel"}, 11),
        ({**TRAINING, "kweight": 3}, 12),
        ({**TRAINING, "kmin": 2.5, "kmax": 10}, 10),
        ({**TRAINING, "dk2": 3}, 12),
        ({**TRAINING, "kmax": 16}, 12),
        ({**TRAINING, "kmax": -1}, 12),  # what Larix writes before anybody chose
    ],
)
def test_any_other_transform_is_redone_from_k_and_chi(measured, settings, kmax):
    group = measured("Cu_foil", **{"kmin": 0, **settings})
    before = contents(group)
    spectrum = read_spectrum(group)
    assert contents(group) == before
    assert spectrum.transformed
    assert spectrum.kmax == kmax
    _, chir_mag = transform(group.k, group.chi, kmax)
    np.testing.assert_array_equal(spectrum.chir_mag, chir_mag)
    assert f"kmax={kmax}" in spectrum.notes[0]


@pytest.mark.parametrize("spelling", [{"window": "HAN"}, {"kweight": None, "kw": 2}, {"kweight": 2.0}, {"dk2": 1.0}])
def test_other_spellings_of_the_training_transform(measured, spelling):
    assert not read_spectrum(measured(**{**TRAINING, **spelling})).transformed


def test_a_transform_beyond_the_data_is_redone_to_their_end(measured):
    group = measured(**TRAINING)
    group.k, group.chi = group.k[:221], group.chi[:221]
    xftf(group, **TRAINING)
    assert read_spectrum(group).kmax == 11


def test_chir_mag_that_its_record_does_not_make_is_not_believed(measured):
    group = measured(**TRAINING)
    group.chir_mag = group.chir_mag * 2
    spectrum = read_spectrum(group)
    assert spectrum.transformed
    assert "not what its xftf settings" in spectrum.notes[0]


def test_without_chir_mag_k_and_chi_are_enough(measured):
    group = measured()
    wanted = read_spectrum(group)
    del group.chir_mag, group.r
    spectrum = read_spectrum(group)
    np.testing.assert_array_equal(spectrum.chir_mag, wanted.chir_mag)
    assert spectrum.transformed


def test_own_and_training_can_be_forced(measured):
    group = measured(kmin=2, kmax=10, kweight=1, dk=4, window="kaiser")
    own = read_spectrum(group, transform="own")
    np.testing.assert_array_equal(own.chir_mag, group.chir_mag)
    assert own.xftf["kweight"] == 1
    assert "as asked" in own.notes[0]
    assert read_spectrum(measured(), transform="training").transformed
    with pytest.raises(errors.OptionError, match="transform='fast' is not one of 'auto'"):
        read_spectrum(group, transform="fast")


def test_plain_arrays(measured):
    group = measured()
    spectrum = read_spectrum(group.r, group.chir_mag, element="cu", xftf=TRAINING)
    assert spectrum.element == "Cu"
    assert spectrum.k is None
    assert read_spectrum(group.r, group.chir_mag, element=29, transform="own").kmax == 12
    assert read_spectrum(None, element="Cu", k=group.k, chi=group.chi).transformed
    with pytest.raises(errors.TransformError, match="does not say how it was made"):
        read_spectrum(group.r, group.chir_mag, element="Cu")
    with pytest.raises(errors.TransformError, match="kweight=1"):
        read_spectrum(group.r, group.chir_mag, element="Cu", xftf={**TRAINING, "kweight": 1})
    with pytest.raises(errors.UnknownAbsorberError, match="neither metadata nor an edge energy"):
        read_spectrum(group.r, group.chir_mag, xftf=TRAINING)


def test_other_steps_of_k_and_r_come_to_the_same(measured):
    group = measured()
    wanted = read_spectrum(group)
    fine = Group(e0=group.e0, k=np.arange(0.02, group.k[-1], 0.01))
    fine.chi = np.interp(fine.k, group.k, group.chi)
    uneven = Group(e0=group.e0, k=np.delete(group.k, [0, 2, 50, 51]), chi=np.delete(group.chi, [0, 2, 50, 51]))
    for other in (fine, uneven):
        xftf(other, **TRAINING)
        np.testing.assert_allclose(read_spectrum(other).chir_mag, wanted.chir_mag, atol=0.03 * wanted.chir_mag.max())
    r = np.arange(0, 7, 0.01)
    own = read_spectrum(r, np.interp(r, group.r, group.chir_mag), element="Cu", transform="own")
    n = len(own.r)
    np.testing.assert_allclose(own.r, wanted.r[:n])
    np.testing.assert_allclose(own.chir_mag, wanted.chir_mag[:n], atol=0.03 * wanted.chir_mag.max())
    with pytest.raises(errors.BadArrayError, match=r"r of the spectrum goes from 0\.0 to 5\.0 Å"):
        read_spectrum(group.r[:164], group.chir_mag[:164], element="Cu", transform="own")


# --- absorber


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
    ],
)
def test_absorber_from_metadata_or_e0(measured, labels):
    assert read_spectrum(chi_only(measured, **labels)).element == "Fe"


def test_absorber_from_mu_where_there_is_no_e0(measured):
    group = measured("Ni_foil")
    del group.e0
    assert read_spectrum(group).element == "Ni"
    assert not hasattr(group, "e0")


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("shift", [-15, 0, 20])
def test_every_element_by_an_edge_that_is_a_little_off(measured, element, shift):
    e0 = xraydb.xray_edge(element, "K").energy + shift
    assert read_spectrum(chi_only(measured, e0=e0)).element == element


def test_a_label_decides_between_edges_that_lie_together(measured):
    e0 = xraydb.xray_edge("Yb", "L3").energy  # 35 eV below Cu K
    with pytest.raises(errors.UnsupportedEdgeError, match=r"Yb L3 edge.*pass element='Cu' if it is Cu K"):
        read_spectrum(chi_only(measured, e0=e0))
    assert read_spectrum(chi_only(measured, e0=e0, element="Cu")).element == "Cu"
    assert read_spectrum(chi_only(measured, e0=e0), element="Cu").notes[0].startswith("a copy")


def test_vanadium_in_its_highest_state_is_not_taken_for_lanthanum(measured):
    spectrum = read_spectrum(chi_only(measured, e0=5483.0))
    assert spectrum.element == "V"
    assert "could also be La L3" in spectrum.notes[0]
    with pytest.raises(errors.UnsupportedEdgeError, match=r"says its label \(pass element='V' if it is V K\)"):
        read_spectrum(chi_only(measured, e0=5483.0, atsym="La", edge="L3"))  # as Larix guesses and writes it


def test_label_and_edge_that_disagree_are_an_error_unless_overruled(measured):
    group = measured()
    group.element = "Fe"
    with pytest.raises(errors.AbsorberConflictError, match=r"labelled Fe K, but its edge at 8979.* is that of Cu K"):
        read_spectrum(group)
    spectrum = read_spectrum(group, element="Cu")
    assert spectrum.element == "Cu"
    assert "labelled Fe" in spectrum.notes[0]
    assert "edge at 8979" in read_spectrum(group, element="Fe").notes[0]


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ({"e0": 11867.0}, errors.UnsupportedElementError, "is As, by its edge at 11867.0 eV"),
        ({"element": "Br"}, errors.UnsupportedElementError, "Br, says its label.*K edges of Sc, Ti"),
        ({"element": "Pt", "edge": "L3"}, errors.UnsupportedEdgeError, "Pt L3 edge, says its label.*K edges only"),
        ({"element": "Cu", "edge": "L3"}, errors.UnsupportedEdgeError, "Cu L3 edge"),
        ({"e0": 11564.0}, errors.UnsupportedEdgeError, "Pt L3 edge, by its edge at 11564.0 eV"),
        ({"e0": 708.0}, errors.UnsupportedEdgeError, "Fe L3 edge"),
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
        ({"element": "Xx"}, errors.UnsupportedElementError),
        ({"element": "Pt"}, errors.UnsupportedElementError),
        ({"element": "Cu", "edge": "L3"}, errors.UnsupportedEdgeError),
    ],
)
def test_absorbers_asked_for_that_are_refused(measured, kwargs, error):
    with pytest.raises(error):
        read_spectrum(measured(), **kwargs)


def test_a_transform_that_stops_below_the_models_can_be_overruled(measured):
    assert read_spectrum(measured(**{**TRAINING, "kmax": 4}), transform="training").kmax == 12
