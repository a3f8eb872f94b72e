"""s02 of a foil, with the real FEFF8L, and what is made of it."""

import numpy as np
import pytest
from larch import Group

from larch_cnpredict import errors, larch_hooks, predict_cn
from larch_cnpredict.reference import METALS, fit_foil, read_reference
from larch_cnpredict.request import Request
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import contents


@pytest.mark.feff
@pytest.mark.parametrize(("stem", "s02"), [("Cu_foil", 0.92), ("Ni_foil", 0.85)])
def test_foils_have_the_s02_that_everybody_finds(measured, stem, s02):
    foil = measured(stem)
    before = contents(foil)
    found = read_reference(foil)
    assert found.s02 == pytest.approx(s02, abs=0.06)
    assert found.absorber == stem[:2]
    assert contents(foil) == before
    fit = fit_foil(read_spectrum(foil, Request(formula="")))
    assert fit.rfactor < 0.02
    assert abs(fit.params["stretch"].value) < 0.012
    assert 0.003 < fit.params["sigma2"].value < 0.012


@pytest.mark.feff
def test_half_the_foil_has_half_the_s02(measured):
    foil = measured("Cu_foil")
    whole = read_reference(foil).s02
    foil.chi = 0.6 * foil.chi
    assert read_reference(foil).s02 == pytest.approx(0.6 * whole, abs=0.01)


@pytest.mark.feff
def test_with_a_reference_the_mean_is_by_s02_too(measured, larch):
    larch_hooks.register(_larch=larch)
    foil, group = measured("Cu_foil"), measured("Cu_foil")
    alone = predict_cn(group)
    told = predict_cn(group, reference=foil)
    assert told.request.reference == pytest.approx(read_reference(foil).s02)
    assert told.notes[0].startswith(f"with s02 = {told.request.reference:.2f}; with nothing told beside the spectrum: ")
    assert told.notes[0].endswith(f"mean {alone.mean_text}")
    assert (told.cn, told.cn_set) == (alone.cn, alone.cn_set)
    weak = predict_cn(group, reference=1.1)
    assert weak.cn_mean < told.cn_mean or weak.interval[0] < told.interval[0]
    larch.symtable.foil, larch.symtable.data = foil, group
    larch.eval("answer = predict_cn(data, reference='foil')")
    assert [error.get_error() for error in larch.error] == []
    assert larch.symtable.answer.cn_mean == told.cn_mean


def test_a_foil_is_fitted_once_while_it_is_the_same(measured, monkeypatch):
    fitted, kept = [], {}

    def fit(spectrum):
        fitted.append(spectrum.fingerprint)
        return Group(params={"s02": Group(value=0.8 + 0.01 * len(fitted))}, rfactor=0.001)

    monkeypatch.setattr("larch_cnpredict.reference.fit_foil", fit)
    monkeypatch.setattr("larch_cnpredict.reference._found", kept)
    monkeypatch.setattr("larch_cnpredict.reference.KEPT", 2)
    foil = measured("Cu_foil")
    assert [read_reference(foil).s02 for _ in range(3)] == [0.81] * 3
    foil.filename = "renamed"
    assert read_reference(foil) == (0.81, "Cu", "'renamed'")
    foil.chi = 1.01 * foil.chi
    assert read_reference(foil).s02 == 0.82
    assert read_reference(measured("Ni_foil")).s02 == 0.83
    assert read_reference(measured("Cu_foil")).s02 == 0.84  # forgotten
    assert len(kept) == 2
    assert len(fitted) == len(set(fitted)) + 1


@pytest.mark.parametrize("given", ["nobody", 0.0, 3, np.nan, True, [0.8], {}])
def test_what_is_no_reference_is_said(measured, given):
    group = measured("Cu_foil")
    before = contents(group)
    with pytest.raises(errors.CNPredictError, match=r"foil's group|there is no group of that name"):
        predict_cn(group, reference=given)
    assert contents(group) == before


@pytest.mark.feff
def test_a_foil_of_another_metal_or_none_is_refused(measured):
    cu, ni, oxide = measured("Cu_foil"), measured("Ni_foil"), measured("CuO")
    with pytest.raises(errors.FoilError, match=r"it is of Ni, and 'Cu_foil.*' of Cu"):
        predict_cn(cu, reference=ni)
    with pytest.raises(errors.FoilError, match="so it is no thin foil of that metal"):
        predict_cn(cu, reference=oxide)
    mixed = predict_cn([cu, ni], reference=ni, errors="collect")
    assert isinstance(mixed[0], errors.FoilError)
    assert mixed[1].request.reference is not None
    del cu.k, cu.chi
    with pytest.raises(errors.MissingArrayError, match="run autobk"):
        read_reference(cu)


def test_metals_without_a_foil_are_named(measured, monkeypatch):
    assert not {"Mn", "Zn"} & set(METALS)
    monkeypatch.setattr("larch_cnpredict.reference.METALS", {})
    with pytest.raises(errors.FoilError, match="give s02 as a number"):
        read_reference(measured("Cu_foil"))
