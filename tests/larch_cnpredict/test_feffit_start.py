"""first_shell: what feffit makes of it, with the real FEFF8L, and what it says where it cannot."""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from larch import Group
from larch.fitting import param_group
from larch.io import read_ascii
from larch.xafs import feff8l, feffit, ff2chi, xftf
from lmfit import Parameter

from larch_cnpredict import errors, feffit_start, first_shell, larch_hooks, predict_cn
from larch_cnpredict.feff import feff_paths, run_feff
from larch_cnpredict.feffit_start import common_neighbour, feff_shell, fit_nearest, remarks, start
from larch_cnpredict.files import process
from larch_cnpredict.reference import read_reference
from larch_cnpredict.request import Request
from larch_cnpredict.result import KINDS, ONE_SITE
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING, WRITTEN, contents

from .test_reading import chromate

SPECTRA = Path(__file__).parents[3] / "shared" / "measured"  # beside the checkout, for the developers alone


@pytest.fixture(autouse=True)
def _no_naps(monkeypatch, request):
    """Larch sleeps 10 ms for each line that FEFF prints: more than half of a run. Threads need them to meet."""
    if "threads" in request.node.name:
        return
    monkeypatch.setattr(sys.modules["larch.xafs.feffrunner"], "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def _nothing_kept(monkeypatch):
    """FEFF runs each time."""
    monkeypatch.setattr("larch_cnpredict.feff.kept_paths", run_feff)


def neighbours(*shells):
    return [{"site": "", "formula": "", "cn": 0, "shell": shell, "distance": 1.0} for shell in shells]


@pytest.mark.feff
@pytest.mark.parametrize(
    ("stem", "symbol", "distance"), [("Cu_foil", "Cu", 2.556), ("Ni_foil", "Ni", 2.492), ("CuO", "O", 1.955)]
)
def test_feffit_takes_it_and_finds_the_first_shell(measured, larch, stem, symbol, distance):
    larch_hooks.register(_larch=larch)
    larch.symtable.data = group = measured(stem)
    before, here = contents(group, WRITTEN), os.getcwd()
    larch.eval("shell = first_shell('data')")
    larch.eval("result = feffit(shell.params, shell.dataset)")
    assert [error.get_error() for error in larch.error] == []
    shell, result = larch.symtable.shell, larch.symtable.result
    assert shell.neighbour == symbol
    assert shell.share > 0.5
    assert shell.distance == pytest.approx(distance, abs=0.03)
    assert shell.path.reff + result.params["deltar"].value == pytest.approx(distance, abs=0.03)
    number = result.params["N"]
    low, high = predict_cn(group).interval
    assert (number.min, number.max) == pytest.approx((0.7 * low, 1.3 * high))
    assert number.min + 0.01 < number.value < number.max - 0.01
    assert result.rfactor < 0.03
    assert 0.001 < result.params["sigma2"].value < 0.012
    assert contents(group, WRITTEN) == before
    assert os.getcwd() == here


@pytest.mark.feff
@pytest.mark.parametrize("stem", ["Cu_foil", "Ni_foil"])
def test_a_foil_whose_s02_is_known_has_twelve_neighbours(measured, stem):
    foil = measured(stem)
    shell = first_shell(foil, neighbour=stem[:2], s02=read_reference(foil).s02)
    shell.params.N.min, shell.params.N.max = 0, 24
    assert feffit(shell.params, shell.dataset).params["N"].value == pytest.approx(12, abs=0.4)


@pytest.mark.feff
@pytest.mark.parametrize(
    ("absorber", "neighbour"), [("V", "Mn"), ("Cr", "Fe"), ("Zn", "Cu"), ("Fe", "O"), ("Ni", "Ni")]
)
def test_there_is_a_path_to_any_neighbour(measured, absorber, neighbour):
    (path,) = feff_shell(replace(predict_cn(measured()), element=absorber), neighbour, 2.6)
    assert path.reff == pytest.approx(2.6, abs=1e-3)
    assert [atom[0] for atom in path._feffdat.geom] == [absorber, neighbour]


@pytest.mark.feff
def test_what_the_background_left_below_the_shell_is_not_taken_for_it(measured, tmp_path):
    cuo = measured("CuO")
    cuo.chi = cuo.chi + 0.35 * np.sin(2 * 1.1 * cuo.k) / np.maximum(cuo.k, 1) ** 2
    xftf(cuo, **TRAINING)
    shell = first_shell(cuo, neighbour="O", s02=0.8, folder=tmp_path / "feff")
    assert shell.distance == pytest.approx(1.95, abs=0.06)
    assert shell.share is None
    assert shell.params.s02.value == 0.8
    predict_cn(cuo, reference=0.7)
    told = first_shell(cuo, neighbour="O")
    assert told.params.s02.value == 0.7
    assert (told.params.N.min, told.params.N.max) == (0.5, 24)  # the spectrum tells it
    assert shell.path.filename == str(tmp_path / "feff" / shell.path.label / "feff0001.dat")
    assert (tmp_path / "feff" / shell.path.label / "feff0001.dat").exists()


@pytest.mark.feff
def test_what_was_read_with_another_background_is_fitted_so():
    group = chromate()
    spectrum, shell = read_spectrum(group), first_shell(group, neighbour="O")
    np.testing.assert_array_equal(shell.dataset.data.chi, spectrum.chi)
    (said,) = [note for note in shell.notes if "as predict_cn read it" in note]
    assert f"with {spectrum.made}:" in said


@pytest.mark.feff
def test_n_is_free_where_s02_is_told_and_the_absorber_itself_is_tried(measured, monkeypatch):
    foil = measured("Cu_foil")
    s02 = read_reference(foil).s02
    half = Group(k=foil.k, chi=0.5 * foil.chi, e0=foil.e0)
    xftf(half, **TRAINING)
    for commonest in ("Se", "Ni"):  # the one fits with a wild e0 or not at all, the other like copper
        monkeypatch.setattr(feffit_start, "common_neighbour", lambda _, commonest=commonest: (commonest, 0.9))
        shell = first_shell(half, s02=s02)
        assert shell.neighbour == "Cu"
        assert feffit(shell.params, shell.dataset).params["N"].value == pytest.approx(6, abs=0.3)
        (said,) = shell.notes
        assert re.match(r"the fit has N = 6\.0 ± 0\.[1-9], outside the 90 % interval", said)
    predict_cn(half, formula="CuNi3")
    assert first_shell(half, s02=s02).neighbour == "Ni"  # as last
    named = first_shell(half, neighbour="Se", s02=s02)
    assert named.neighbour == "Se"
    assert any("stopped at the bound: do not rely on it" in note for note in named.notes)


REMARKS = {
    "the answer is outside what the models know: too noisy": {"in_domain": False},
    "R factor 0.06: not a good fit": {"rfactor": 0.06},
    "the fit has N = 9.0 ± 0.4, outside the 90 % interval of predict_cn, 11.0 to 12.1": {"n": 9.0, "error": 0.4},
    "the fit has N = 13.0 ± 0.4, outside the 90 % interval of predict_cn, 11.0 to 12.1": {"n": 13.0, "error": 0.4},
}


@pytest.mark.parametrize(
    ("said", "one"),
    [
        *REMARKS.items(),
        ("", {"rfactor": 0.04}),  # of compounds many fit so
        ("", {"n": 9.0, "error": 1.1}),  # by its error it may be 11
        ("", {"n": 9.0, "error": None}),
        ("", {"n": 9.0, "error": np.nan}),
        ("", {"n": 9.0, "error": 0.0}),  # where lmfit found none
        ("", {"n": 9.0, "error": 0.4, "s02": None}),  # N takes up what s02 is off by
    ],
)
def test_remarks_are_said_where_they_are_true_alone(measured, said, one):
    one = {"in_domain": True, "rfactor": 0.01, "n": 11.5, "error": 0.4, "s02": 0.9} | one
    notes = [] if one["in_domain"] else ["too noisy", "with s02 = 0.90"]
    answer = replace(predict_cn(measured()), in_domain=one["in_domain"], notes=notes, cn_mean_interval=[11.0, 12.1])
    number = Parameter("N", value=one["n"], min=0.5, max=24)
    number.stderr = one["error"]
    found = remarks(answer, "Cu", one["s02"], Group(params={"N": number}), one["rfactor"])
    assert [note.split("; ")[0] for note in found] == [said] * bool(said)


@pytest.mark.feff
def test_no_fit_ends_without_neighbours(measured):
    foil = measured("Ni_foil")
    answer, peak = predict_cn(foil, reference=0.85), foil.r[foil.chir_mag.argmax()]
    for neighbour, beyond in (("Co", 0.05), ("Co", 0.1), ("Ni", 0.1)):  # where the fit begins, Å from the peak
        fit = fit_nearest(foil, answer, neighbour, 0.85, np.array([peak + beyond]))
        assert fit.params["N"].value > 5
        assert fit.rfactor < 0.2


@pytest.mark.feff
@pytest.mark.shared
@pytest.mark.skipif(not SPECTRA.is_dir(), reason="the development data are not here")
def test_a_chromium_foil_with_its_own_s02_has_chromium_around_chromium():
    columns = read_ascii(str(SPECTRA / "Cr_Cr_m279.dat"))
    foil = process(Group(energy=columns.data[0].copy(), mu=columns.data[1].copy(), filename="chromium"))
    predict_cn(foil, reference=foil)
    shell = first_shell(foil)
    assert shell.neighbour == "Cr"
    assert feffit(shell.params, shell.dataset).params["N"].value == pytest.approx(8, abs=0.4)
    assert shell.notes == []


@pytest.mark.feff
def test_one_path_is_not_all_of_zinc_metal():
    """Six neighbours at 2.66 Å and six at 2.91: a fit of one path does not contradict the twelve that are read."""
    cell = np.array([[2.665, 0, 0], [-2.665 / 2, 2.665 * 0.75**0.5, 0], [0, 0, 4.947]])
    grid = np.indices((7, 7, 7)).reshape(3, -1).T - 3
    points = np.concatenate([grid @ cell, (grid + np.array([1 / 3, 2 / 3, 0.5])) @ cell])
    points = points[np.linalg.norm(points, axis=1) < 6]
    paths = feff_paths("zinc", ["Zn"] * len(points), points, 5.9)
    for path in paths:
        path.s02, path.sigma2 = 0.9, 0.012
    metal = Group(e0=9659.0, filename="zinc")
    ff2chi(paths, group=metal)
    xftf(metal, **TRAINING)
    shell = first_shell(metal, neighbour="Zn", s02=0.9)
    assert shell.distance == pytest.approx(2.63, abs=0.07)
    assert feffit(shell.params, shell.dataset).params["N"].value < 9
    poor, said = shell.notes
    assert poor.startswith(f"R factor {shell.rfactor:.2f}: not a good fit")
    assert said.startswith("of the 6 + 6 neighbours of zinc metal")


@pytest.mark.feff
def test_a_wild_e0_does_not_win(measured, monkeypatch):
    fits = iter((20.0, 5.0, 5.0, 5.0))

    def fitted(params, dataset):
        out = feffit(params, dataset)
        out.params["e0"].value = next(fits)
        out.rfactor = 0.01
        return out

    monkeypatch.setattr(feffit_start, "feffit", fitted)
    assert first_shell(measured("CuO"), neighbour="O").distance == pytest.approx(2.99, abs=0.06)


@pytest.mark.feff
def test_a_body_centred_metal_gets_both_halves_of_its_shell(measured):
    answer = replace(predict_cn(measured()), element="Fe", cn=8, cn_mean=7.0, kind=ONE_SITE)
    paths = feff_shell(answer, "Fe", 2.482)
    assert [path.reff for path in paths] == pytest.approx([2.482, 2.866], abs=2e-3)
    params, dataset = start(measured(), answer, paths, 0.8)
    made = {"s02": 0.8, "N": 8, "e0": 3, "deltar": 0.01, "sigma2": 0.005, "sigma2_far": 0.007}
    for name, value in made.items():
        getattr(params, name).value = value
    dataset.data = ff2chi(paths, paramgroup=params)
    fit = feffit(*start(dataset.data, answer, paths, 0.8))
    assert {name: fit.params[name].value for name in made} == pytest.approx(made, rel=0.05)
    for other in (replace(answer, cn=12), replace(answer, kind=KINDS[2])):
        assert len(feff_shell(other, "Fe", 2.482)) == 1


@pytest.mark.feff
def test_an_answer_that_is_void_sets_no_bounds(measured):
    group = measured("Cu_foil")
    answer = predict_cn(group)
    paths = feff_shell(answer, "Cu", 2.55)
    inside, outside = (start(group, replace(answer, in_domain=known), paths, None)[0].N for known in (True, False))
    low, high = answer.interval
    assert (inside.min, inside.max) == pytest.approx((0.7 * low, 1.3 * high))
    assert (outside.min, outside.max) == (0.5, 24)


@pytest.mark.parametrize(
    ("shells", "symbol", "share"),
    [
        (["Li4", "Cu10 Mg2", "Cu7 Au2 Ce3", "Cu8 La4", "Cu9 Mg3"], "Cu", 0.567),
        (["B6", "Ni4", "Ru8", "V8 Sb4", "V4 Zn4"], "V", 0.533),  # no element has so many as its row
        (["H4 O2", "N4", "N6", "Cl6"], "N", 3 / 4),  # hydrogen is not seen
    ],
)
def test_the_neighbour_is_the_commonest_of_the_commonest_row(measured, shells, symbol, share):
    answer = replace(predict_cn(measured()), neighbours=neighbours(*shells))
    assert common_neighbour(answer) == (symbol, pytest.approx(share, abs=0.01))


def test_the_neighbour_is_of_the_composition_where_it_is_told(measured):
    answer = replace(predict_cn(measured()), neighbours=neighbours("F6", "O4", "F6", "H2"))
    for told, symbol in (("", "F"), ("CuO", "O"), ("Cu(OH)2", "O"), ("CuS", "F")):  # of CuS no site has any
        assert common_neighbour(replace(answer, composition=told))[0] == symbol
    elements = replace(answer, composition="copper chlorine", request=Request(elements="copper chlorine"))
    elements = replace(elements, neighbours=neighbours("O6", "O3 Cl1", "Cl1 O3", "H2"))
    assert common_neighbour(elements) == ("Cl", pytest.approx(0.5 / 3))  # of all neighbours, not of those told


@pytest.mark.feff
@pytest.mark.parametrize(("worse", "distance"), [(3, 1.95), (5, 2.99)])
def test_a_farther_shell_that_fits_a_little_better_is_not_the_first(measured, monkeypatch, worse, distance):
    fits = iter((worse * 0.01, 0.01, 0.5, 0.5))

    def fitted(params, dataset):
        out = feffit(params, dataset)
        out.rfactor = next(fits)
        return out

    monkeypatch.setattr(feffit_start, "feffit", fitted)
    assert first_shell(measured("CuO"), neighbour="O").distance == pytest.approx(distance, abs=0.06)


@pytest.mark.feff
@pytest.mark.usefixtures("_nothing_kept")
def test_threads_do_not_run_feff_in_each_others_folder(measured):
    here, answer = os.getcwd(), predict_cn(measured("CuO"))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda bond: feff_shell(answer, "O", bond)[0].reff, (1.9, 1.95, 2.0, 2.05)))
    assert made == pytest.approx([1.9, 1.95, 2.0, 2.05], abs=1e-3)
    assert os.getcwd() == here


def test_a_folder_that_cannot_be_made_is_said(measured, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.FileError, match="FEFF's files cannot be written there"):
        first_shell(measured(), folder=tmp_path / "file")


def test_no_neighbour_is_invented(measured):
    answer = predict_cn(measured())
    with pytest.raises(errors.OptionError, match="no known site tells it"):
        common_neighbour(replace(answer, neighbours=neighbours("H4")))
    for wrong in ("Xx", "o", 8, ""):
        with pytest.raises(errors.OptionError, match=f"neighbour={wrong!r} must be the symbol of an element"):
            first_shell(measured(), neighbour=wrong)


@pytest.mark.feff
def test_feff_runs_once_for_the_same_atoms(measured, monkeypatch, tmp_path):
    runs, answer = [], predict_cn(measured("CuO"))

    def counted(folder, **options):
        runs.append(folder)
        feff8l(folder=folder, **options)

    monkeypatch.setattr("larch_cnpredict.feff.feff8l", counted)
    (first,) = feff_shell(answer, "O", 1.97)
    first.third, first._feffdat.amp[:] = 0.01, 0.0  # as callers write
    (second,), (other,) = (feff_shell(answer, "O", distance) for distance in (1.97, 1.98))
    assert len(runs) == 2
    (third,) = feff_shell(answer, "O", 1.97, tmp_path)
    assert len(runs) == 3
    assert Path(third.filename).parent.parent == tmp_path
    assert Path(third.filename).exists()
    assert other.reff == pytest.approx(1.98, abs=1e-3)
    assert second._feffdat.amp.max() > 0
    assert (second.label, second.geom) == (third.label, third.geom)
    for path in (second, third):
        ff2chi([path], params=param_group(N=4.0, s02=0.9, e0=2.0, deltar=0.01, sigma2=0.005))
    np.testing.assert_array_equal(second.chi, third.chi)


@pytest.mark.usefixtures("_nothing_kept")
def test_a_feff_that_cannot_run_is_said_and_the_question_is_kept(measured, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["larch.xafs.feffrunner"], "bindir", str(tmp_path))
    group, here = measured(), os.getcwd()
    predict_cn(group, model="forest")
    group.chi = group.chi * 1.001
    xftf(group, **TRAINING)
    old = group.cn_predict.fingerprint
    with pytest.raises(errors.FeffError, match=r"FEFF8L made no path Cu_Cu_2\.6"):
        first_shell(group)
    assert group.cn_predict.fingerprint != old
    assert group.cn_predict.family == "forest"
    assert os.getcwd() == here


@pytest.mark.usefixtures("_nothing_kept")
def test_a_feff_that_writes_nothing_is_said(measured, monkeypatch):
    answer = predict_cn(measured("CuO"))
    monkeypatch.setattr(sys.modules["larch_cnpredict.feff"], "feff8l", lambda **given: None)  # as one that crashes
    with pytest.raises(errors.FeffError, match=r"FEFF8L made no path Cu_O_1\.90: it ended without one"):
        feff_shell(answer, "O", 1.9)


def test_what_feffit_cannot_read_is_refused(measured):
    group = measured()
    del group.k, group.chi
    with pytest.raises(errors.MissingArrayError, match="k and chi: feffit reads them; run autobk"):
        first_shell(group)
    with pytest.raises(errors.InputError):
        first_shell(group.r)
    flat = measured()
    flat.chir_mag = np.exp(-flat.r)
    predict_cn(flat, transform="own")
    with pytest.raises(errors.BadArrayError, match=r"no peak below 3\.3"):
        first_shell(flat)


@pytest.mark.feff
def test_lists_of_numbers_will_do(measured):
    group = measured("Cu_foil")
    group.k, group.chi = group.k.tolist(), group.chi.tolist()
    assert first_shell(group).distance == pytest.approx(2.556, abs=0.03)


@pytest.mark.parametrize("s02", [0, -1, float("nan"), "0.9"])
def test_an_s02_that_no_sample_has_is_refused(measured, s02):
    before = contents(group := measured("CuO"))
    with pytest.raises(errors.OptionError, match=r"^s02=.* must be a number above 0"):
        first_shell(group, neighbour="O", s02=s02)
    assert contents(group) == before
