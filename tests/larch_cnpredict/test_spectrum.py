"""Which |chi(R)| is read, on measured spectra."""

from dataclasses import replace

import numpy as np
import pytest
from larch import Group
from larch.xafs import xftf

from larch_cnpredict import errors, predict_cn, reading
from larch_cnpredict.features import transform
from larch_cnpredict.request import Request
from larch_cnpredict.result import is_stale
from larch_cnpredict.spectrum import Spectrum, read_spectrum
from larch_cnpredict.transform import training_transform
from tests.helpers import TRAINING, contents


def transformed(spectrum: Spectrum) -> bool:
    """Whether its |chi(R)| was made anew from k and chi."""
    return any("a copy of k and chi was transformed" in note for note in spectrum.notes)


def test_a_training_transform_is_used_as_it_is(measured):
    group = measured(**TRAINING)
    spectrum = read_spectrum(group)
    assert (spectrum.element, spectrum.edge) == ("Cu", "K")
    assert not transformed(spectrum)
    assert spectrum.notes == []
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
        ({**TRAINING, "window": "parzen"}, 12),
        ({**TRAINING, "kmax": 16}, 12),
        ({**TRAINING, "kmax": -1}, 12),  # what Larix writes before anybody chose
    ],
)
def test_any_other_transform_is_redone_from_k_and_chi(measured, settings, kmax):
    group = measured("Cu_foil", **{"kmin": 0, **settings})
    before = contents(group)
    spectrum = read_spectrum(group)
    assert contents(group) == before
    assert transformed(spectrum)
    assert spectrum.kmax == kmax
    _, chir_mag = transform(group.k, group.chi, kmax)
    np.testing.assert_array_equal(spectrum.chir_mag, chir_mag)
    assert f"kmax={kmax}" in spectrum.notes[0]


@pytest.mark.parametrize("spelling", [{"window": "HAN"}, {"kweight": None, "kw": 2}, {"kweight": 2.0}, {"dk2": 1.0}])
def test_other_spellings_of_the_training_transform(measured, spelling):
    assert not transformed(read_spectrum(measured(**{**TRAINING, **spelling})))


def test_a_transform_beyond_the_data_is_redone_to_their_end(measured):
    group = measured(**TRAINING)
    group.k, group.chi = group.k[:221], group.chi[:221]
    xftf(group, **TRAINING)
    assert read_spectrum(group).kmax == 11


def test_chir_mag_that_its_record_does_not_make_is_not_believed(measured):
    group = measured(**TRAINING)
    group.chir_mag = group.chir_mag * 1.001
    spectrum = read_spectrum(group)
    assert transformed(spectrum)
    assert "not what its xftf settings" in spectrum.notes[0]


def test_without_chir_mag_k_and_chi_are_enough(measured):
    group = measured()
    wanted = read_spectrum(group)
    del group.chir_mag, group.r
    spectrum = read_spectrum(group)
    np.testing.assert_array_equal(spectrum.chir_mag, wanted.chir_mag)
    assert transformed(spectrum)


def test_own_and_training_can_be_forced(measured):
    group = measured(kmin=2, kmax=10, kweight=1, dk=4, window="kaiser")
    own = read_spectrum(group, Request(transform="own"))
    np.testing.assert_array_equal(own.chir_mag, group.chir_mag)
    assert own.xftf["kweight"] == 1
    assert "as asked" in own.notes[0]
    assert transformed(read_spectrum(measured(), Request(transform="training")))


def test_arrays_that_are_not_read_may_be_unsound(measured):
    wanted = read_spectrum(measured(), Request(transform="training"))
    for spoilt in ("chir_mag", "chi"):
        group = measured()
        getattr(group, spoilt)[3] = np.nan
        how, other = ("training", "own") if spoilt == "chir_mag" else ("own", "training")
        read = read_spectrum(group, Request(transform=how))
        np.testing.assert_allclose(read.chir_mag, wanted.chir_mag, atol=1e-9)
        with pytest.raises(errors.BadArrayError, match=f"{spoilt} of .* has NaN or infinity at 1 of"):
            read_spectrum(group, Request(transform=other))


def test_steps_and_single_precision_are_no_other_transform(measured):
    fine = measured()
    k = np.arange(0, fine.k[-1], 0.04)
    fine.k, fine.chi = k, np.interp(k, fine.k, fine.chi)
    on_grid = 0.05 * np.arange(int(k[-1] / 0.05) + 1)
    fine.r, fine.chir_mag = transform(on_grid, np.interp(on_grid, fine.k, fine.chi), 12.0)
    fine.callargs.xftf = {**TRAINING, "kstep": 0.05}
    assert read_spectrum(fine).notes == []
    single = measured()
    single.k, single.chi = single.k.astype(np.float32), single.chi.astype(np.float32)
    assert read_spectrum(single).notes == []


def test_another_processor_reads_the_same_from_the_same_data(measured, monkeypatch):
    group = measured("Cu_foil")
    group.e0 -= 12  # read once more, with a background of its own
    made = read_spectrum(group)
    assert made.chi is not group.chi
    again = reading.reread

    def elsewhere(source, own):
        spectrum = again(source, own)
        return replace(spectrum, chi=spectrum.chi * (1 + 1e-14))

    monkeypatch.setattr(reading, "reread", elsewhere)
    assert read_spectrum(group).fingerprint == made.fingerprint


def test_plain_arrays(measured):
    group = measured()
    spectrum = read_spectrum(group.r, Request(element="cu", transform="own"), chir_mag=group.chir_mag)
    assert spectrum.element == "Cu"
    assert spectrum.k is None
    assert read_spectrum(group.r, Request(element=29, transform="own"), chir_mag=group.chir_mag).kmax == 12
    assert transformed(read_spectrum(None, Request(element="Cu"), k=group.k, chi=group.chi))
    with pytest.raises(errors.TransformError, match="does not say how it was made"):
        read_spectrum(group.r, Request(element="Cu"), chir_mag=group.chir_mag)
    of_another_kind = measured(**{**TRAINING, "kweight": 1})
    del of_another_kind.k
    del of_another_kind.chi
    with pytest.raises(errors.TransformError, match="kweight=1"):
        read_spectrum(of_another_kind)
    with pytest.raises(errors.UnknownAbsorberError, match="neither metadata nor an edge energy"):
        read_spectrum(group.r, chir_mag=group.chir_mag)


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
    own = read_spectrum(r, Request(element="Cu", transform="own"), chir_mag=np.interp(r, group.r, group.chir_mag))
    n = len(own.r)
    np.testing.assert_allclose(own.r, wanted.r[:n])
    np.testing.assert_allclose(own.chir_mag, wanted.chir_mag[:n], atol=0.03 * wanted.chir_mag.max())
    with pytest.raises(errors.BadArrayError, match=r"r of the spectrum goes from 0\.0 to 5\.0 Å"):
        read_spectrum(group.r[:164], Request(element="Cu", transform="own"), chir_mag=group.chir_mag[:164])


def test_a_transform_that_stops_below_the_models_can_be_overruled(measured):
    assert read_spectrum(measured(**{**TRAINING, "kmax": 4}), Request(transform="training")).kmax == 12


@pytest.mark.parametrize("changed", [{"window": "parzen"}, {"dk": 2.0}, {"kmin": 2.5}, {"kweight": 3}, {"nfft": 4096}])
def test_another_transform_is_known_by_its_record_alone(measured, changed):
    group = measured("Cu_foil")
    alone = Group(r=group.r, chir_mag=group.chir_mag, e0=group.e0, callargs=Group(xftf=dict(group.callargs.xftf)))
    assert not transformed(read_spectrum(alone))
    alone.callargs.xftf.update(changed)
    with pytest.raises(errors.TransformError, match="was made with"):
        read_spectrum(alone)


def test_what_ends_short_is_said_as_it_is(measured):
    group = measured("CuO", **TRAINING, rmax_out=5)
    spectrum = read_spectrum(group)
    assert "own chir_mag ends at 5.0 Å, and the models read it to 6" in spectrum.notes[0]
    assert spectrum.r[-1] > 6
    short = Group(k=group.k[:170], chi=group.chi[:170], element="Cu")
    with pytest.raises(
        errors.RangeTooShortError, match=r"up to k = 8\.45 Å\^-1: the models need it up to at least 8\.5"
    ):
        read_spectrum(short)


def test_a_kmax_one_point_beyond_the_data_is_no_reason_to_transform_anew(measured):
    group = measured()
    group.k, group.chi = group.k[:240], group.chi[:240]  # to 11.95
    xftf(group, **TRAINING)
    assert not transformed(read_spectrum(group))


def test_dk2_is_dk_where_nobody_says_it(measured):
    assert "dk=4, window" in read_spectrum(measured(**{**TRAINING, "dk": 4})).notes[0].partition("the group's")[2]


def test_an_own_transform_without_a_record_goes_as_far_as_the_data(measured):
    group, own = measured(), Request(element="Cu", transform="own")
    read = read_spectrum(group.r, own, chir_mag=group.chir_mag, k=group.k[:221], chi=group.chi[:221])
    assert read.kmax == 11


def test_the_last_digits_of_another_fourier_transform_make_no_answer_stale(measured, monkeypatch):
    for settings in ({"window": "kaiser", "dk": 4}, None):
        group = measured("CuO")
        if settings:
            xftf(group, kmin=2, kmax=12, kweight=2, **settings)
        else:
            del group.chir_mag
        predict_cn(group)
        assert not is_stale(group)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("larch_cnpredict.spectrum.training_transform", nearly)
            assert not is_stale(group)
        group.chi = 1.001 * group.chi
        assert is_stale(group)


def nearly(*given):
    r, magnitude, settings, notes = training_transform(*given)
    return r, magnitude * (1 + 1e-14), settings, notes


def test_a_note_says_what_differs(measured):
    group = measured("CuO")
    xftf(group, kmin=3, kmax=12, kweight=2, dk=1, window="hanning", nfft=4096)
    (note,) = [note for note in read_spectrum(group).notes if "the group's own chir_mag" in note]
    assert "nfft=4096" in note.split("the group's")[1]
    assert "nfft" not in note.split("the group's")[0]
