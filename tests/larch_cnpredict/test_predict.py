"""predict_cn on measured spectra, end to end with the shipped models."""

from dataclasses import replace

import numpy as np
import pytest
from larch import Group
from larch.xafs import autobk, pre_edge, xftf

from larch_cnpredict import Prediction, cn_report, errors, explain, features, predict_cn, samples, uncertainty
from larch_cnpredict.composition import inputs
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.models import load_models
from larch_cnpredict.request import Request
from larch_cnpredict.result import KINDS
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING, WRITTEN, contents


@pytest.mark.parametrize(("stem", "cn"), [("Cu_foil", 12), ("Ni_foil", 12), ("CuO", 4)])
def test_measured_references(measured, stem, cn):
    group = measured(stem)
    before = contents(group, WRITTEN)
    answer = predict_cn(group)
    assert answer.cn == cn
    assert cn in answer.cn_set
    assert answer.in_domain, answer.notes
    assert sum(answer.probabilities) == pytest.approx(1)
    assert answer.cn_mean_interval[0] <= cn <= answer.cn_mean_interval[1]
    assert answer.cn_mean_interval[0] <= answer.cn_mean <= answer.cn_mean_interval[1]
    assert answer.kind == "one site"
    assert 0 <= answer.mixture < 0.5
    assert (answer.model, answer.family) == ("default", "phase")
    assert group.cn_predict.cn == cn
    assert contents(group, WRITTEN) == before
    assert str(answer).startswith(f"{answer.element} K: CN {cn} (p = ")


def test_settings_of_the_transform_do_not_matter_where_chi_is_there(measured):
    answers = [predict_cn(measured("CuO", **s)) for s in (TRAINING, {"kmin": 2, "kmax": 14, "dk": 4}, {"kweight": 3})]
    assert {a.cn for a in answers} == {4}
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=1e-6)
    assert not answers[0].notes
    assert "transformed" in " ".join(answers[1].notes)


def test_errors_are_collected_in_their_place(measured):
    groups = [measured("CuO"), Group(filename="empty"), measured("Ni_foil")]
    found = predict_cn(groups, errors="collect")
    assert [type(answer) for answer in found] == [Prediction, errors.MissingArrayError, Prediction]
    assert not hasattr(groups[1], "cn_predict")
    fresh = [measured("CuO"), Group(filename="empty")]
    with pytest.raises(errors.MissingArrayError):
        predict_cn(fresh)
    with pytest.raises(errors.OptionError, match="errors='ignore' is not one of"):
        predict_cn(fresh, errors="ignore")
    assert not hasattr(fresh[0], "cn_predict")


def test_chir_mag_alone_is_enough(measured):
    group = measured("Cu_foil")
    answer = predict_cn(group.r, group.chir_mag, element="Cu", transform="own")
    assert answer.cn == 12
    assert (answer.model, answer.family) == ("default", "shells")
    with pytest.raises(errors.MissingArrayError, match="'phase' reads them"):
        predict_cn(group.r, group.chir_mag, element="Cu", transform="own", model="phase")


@pytest.mark.parametrize("model", ["network", "bagging", "forest", "shells", "phase"])
def test_each_family_by_its_name(measured, model):
    answer = predict_cn(measured("Cu_foil"), model=model)
    assert (answer.model, answer.family, answer.cn) == (model, model, 12)


@pytest.mark.parametrize(("family", "transform"), [("phase", "auto"), ("shells", "own")])
def test_default_is_one_family_at_its_temperature(measured, family, transform, monkeypatch):
    monkeypatch.setattr(uncertainty, "with_sample", lambda p, *given: p)
    group = measured("CuO")
    answer = predict_cn(group, transform=transform)
    spectrum = read_spectrum(group, Request(transform=transform))
    models = load_models()
    if family == "phase":
        chi = features.on_k_grid(group.k, group.chi)[None]
        x = features.complex_features(chi, ["Cu"], np.array([12.0]), group.k[-1:])
    else:
        x = features.magnitude_features(spectrum.r, spectrum.chir_mag[None], ["Cu"], np.array([12.0]))
    expected = np.maximum(models.probabilities(family, x)[0], 1e-3) ** models.calibration[family]["power"]
    np.testing.assert_allclose(answer.probabilities, expected / expected.sum(), atol=1e-6)
    assert answer.probabilities == predict_cn(group, transform=transform, model=family).probabilities


@pytest.mark.parametrize(("near", "said"), [(0.9, False), (0.75, True), (0.3, True)])
def test_where_p_is_lowered_much_it_is_said_what_it_would_be_for_one_site(measured, monkeypatch, near, said):
    group = measured("Cu_foil")
    with monkeypatch.context() as apart:
        apart.setattr(uncertainty, "with_sample", lambda p, *given: p)
        of_one_site = predict_cn(group).p
    monkeypatch.setattr(samples, "near", lambda *given: near)
    answer = predict_cn(group)
    assert answer.p == pytest.approx(near * of_one_site, abs=1e-4)
    whole = f"p is lowered, for a mixture could look the same: as a whole it is read as mean {answer.mean_text}"
    note = f"{whole}, and were it known to be one site, as CN 12 with p = {of_one_site:.2f}"
    assert [n for n in answer.notes if "p is lowered" in n] == ([note] if said else [])


@pytest.mark.parametrize("formula", [None, "Cu"])
def test_p_of_what_is_told_to_be_one_site_is_not_lowered(measured, monkeypatch, formula):
    group = measured("Cu_foil")
    unsure = predict_cn(group, formula=formula)
    told = predict_cn(group, formula=formula, one_site=True)
    assert (told.cn, told.cn_set, told.request.one_site) == (12, unsure.cn_set, True)
    assert (told.cn_mean, told.cn_mean_interval) == (12, [min(told.cn_set), max(told.cn_set)])
    assert str(told).endswith(f"(p = {told.p:.2f}, 90 % set {told.set_text}), one site, as told")
    assert told.p > unsure.p + 0.1
    assert not [note for note in told.notes if "one site" in note]
    assert explain(group).prediction.probabilities == told.probabilities  # asked as before
    monkeypatch.setattr(uncertainty, "with_sample", lambda p, *given: p)
    answer = predict_cn(group, formula=formula)
    assert (told.probabilities, told.spectrum_probabilities) == (answer.probabilities, answer.spectrum_probabilities)


def test_what_is_told_to_be_one_site_and_read_as_several_is_said(measured, monkeypatch):
    monkeypatch.setattr(samples, "mixture", lambda says, odds: np.full(len(says), 0.9))
    group = measured("Cu_foil")
    unsure = predict_cn(group)
    assert unsure.kind != "one site"
    told = predict_cn(group, one_site=True)
    assert (told.kind, told.mixture, told.headline) == ("one site", 0.9, "CN 12")
    several = "taken as one site, as told; without that it is read as several (probability 0.90)"
    assert told.notes[0] == f"{several}, mean {unsure.mean_text}"
    assert (told.verdict, told.mean_text) == ("undecided", unsure.mean_text)  # it is one number, but not all agree
    assert str(told).endswith(f"mean {unsure.mean_text}")
    monkeypatch.setattr(samples, "shortest", lambda density, level: np.array([7.0, 9.9]))
    monkeypatch.setattr(samples, "middle", lambda density: 9.0)
    told = predict_cn(group, one_site=True)
    assert (told.verdict, told.in_domain) == ("outside", False)
    assert told.reason.startswith(several)
    assert told.reason.endswith(", which is far from CN 12: is it one site?")


def test_two_phases_that_are_told_to_be_one_site_are_not_taken_for_it(measured):
    """Half copper beside half oxide, as mu(E): one site would have two neighbours, with p = 0.7."""
    foil, oxide = measured("Cu_foil"), measured("CuO")
    energy = foil.energy[(foil.energy > oxide.energy[0]) & (foil.energy < oxide.energy[-1])]
    norms = [np.interp(energy, one.energy, one.norm) for one in (oxide, foil)]
    mixed = Group(energy=energy, mu=0.5 * norms[0] + 0.5 * norms[1])
    pre_edge(mixed)
    autobk(mixed, rbkg=1, kweight=2)
    xftf(mixed, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    told = predict_cn(mixed, one_site=True)
    assert not told.in_domain
    assert "is it one site?" in told.reason
    assert 7 < told.cn_mean < 10


def test_a_formula_that_the_sample_cannot_have_is_a_contradiction(measured):
    answer = predict_cn(measured("Cu_foil"), formula="CuO")  # of the precursor, say
    assert not answer.in_domain
    assert answer.reason.startswith("the spectrum contradicts the composition CuO")
    assert not [note for note in answer.notes if "p is lowered" in note]  # a p by the composition that is refuted
    assert predict_cn(measured("Cu_foil"), formula="Cu").in_domain
    assert predict_cn(measured("CuO"), formula="CuO").in_domain


def test_a_formula_is_of_one_compound_and_elements_may_be_of_several(measured, monkeypatch):
    monkeypatch.setattr(uncertainty, "agreement", lambda *given: 1.0)
    describe = samples.describe
    monkeypatch.setattr(samples, "describe", lambda *given: [replace(s, kind=KINDS[1]) for s in describe(*given)])
    monkeypatch.setattr(uncertainty, "combined", lambda alone, by_composition, *given: by_composition)
    group = measured("Cu_foil")
    assert predict_cn(group, formula="CuO").reason.startswith("the spectrum contradicts the composition CuO")
    assert predict_cn(group, elements="Cu O").in_domain


def test_elements_of_a_support_are_no_contradiction(measured, monkeypatch):
    group = measured("Cu_foil")
    agreement = uncertainty.agreement
    oxide = load_models().probabilities("elements", inputs([{"Cu": 1, "Ce": 1, "O": 1}], ["Cu"]))[0]

    def contradicted(p, by_composition):  # as if nothing of copper, cerium and oxygen had twelve neighbours
        return np.where((by_composition == oxide).all(-1), 0.0, agreement(p, by_composition))

    monkeypatch.setattr(uncertainty, "agreement", contradicted)
    answer, metal = predict_cn(group, elements="Cu Ce O"), predict_cn(group, elements="Cu")
    assert answer.in_domain
    assert answer.notes[0].startswith("another phase, such as a support, is taken to have Ce and O: the spectrum would")
    assert (answer.cn, answer.probabilities, answer.cn_mean) == (12, metal.probabilities, metal.cn_mean)
    assert not predict_cn(group, formula="CuO").in_domain
    monkeypatch.setattr(uncertainty, "agreement", lambda p, by_composition: 0.0 * by_composition.sum(-1))
    assert not predict_cn(group, elements="Cu Ce O").in_domain


def test_a_batch_of_both_kinds_answers_as_one_by_one(measured):
    groups = measured("CuO"), measured("Cu_foil"), measured("Ni_foil")
    del groups[1].k, groups[1].chi
    together = predict_cn([*groups, groups[0]])
    assert [answer.family for answer in together] == ["phase", "shells", "phase", "phase"]
    for group, answer in zip(groups, together, strict=False):
        np.testing.assert_allclose(answer.probabilities, predict_cn(group).probabilities, atol=1e-6)
    assert predict_cn([]) == []


def _of(group: Group, chi: np.ndarray) -> Group:
    out = Group(k=group.k, chi=chi, e0=group.e0, filename="changed")
    xftf(out, **TRAINING)
    return out


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("noise", lambda chi: 0.1 * np.random.default_rng(0).normal(size=len(chi))),
        ("no first shell", lambda chi: np.full(len(chi), 1e-4)),
        ("too strong", lambda chi: 30 * chi),
    ],
)
def test_what_is_no_chi_is_flagged(measured, reason, change):
    group = measured("Cu_foil")
    answer = predict_cn(_of(group, change(group.chi)))
    assert not answer.in_domain
    assert reason in " ".join(answer.notes)
    assert "outside what the models know" in str(answer)


@pytest.mark.parametrize("kweight", [0, 4])
def test_a_wrong_k_weight_is_flagged(measured, kweight):
    group = measured("Cu_foil", **{**TRAINING, "kweight": kweight})
    answer = predict_cn(group, transform="own")
    assert not answer.in_domain
    bare = predict_cn(group.r, group.chir_mag, element="Cu", transform="own")
    assert not bare.in_domain


def test_a_background_that_cuts_into_the_first_peak_is_flagged(measured):
    for stem, rbkg, cut in (("CuO", 1.5, True), ("CuO", 1.2, False), ("Cu_foil", 1.5, False)):
        group = measured(stem)
        autobk(group, rbkg=rbkg, kweight=2)
        xftf(group, **TRAINING)
        assert predict_cn(group).in_domain  # mu(E) is there, and is read again where need be
        del group.energy, group.mu
        answer = predict_cn(group)
        assert any("rbkg" in note for note in answer.notes) == cut
        assert answer.in_domain != cut


def test_all_absorbers_have_an_answer(measured):
    group = measured("Cu_foil")
    for element in ELEMENTS:
        assert predict_cn(group.r, group.chir_mag, element=element, transform="own").element == element


def test_a_raw_spectrum_all_the_way(measured):
    source = measured("CuO")
    group = Group(energy=source.energy, mu=source.mu)
    pre_edge(group)
    autobk(group, rbkg=1.0)
    xftf(group)
    assert 4 in predict_cn(group).cn_set


@pytest.fixture
def split(monkeypatch):
    """The shipped models, whose known sites with twelve neighbours all have two shells."""
    known = load_models().domain
    shells = np.where(known["cn"][:, None] == 12, [[6, 6]], [[4, 0]]).astype(np.int8)
    monkeypatch.setitem(known, "shell_counts", shells)
    monkeypatch.setitem(known, "shell_distances", np.full(shells.shape, [2.61, 2.87], np.float16))


@pytest.mark.usefixtures("split")
def test_split_shells_are_said(measured):
    group = measured("Cu_foil")
    answer = predict_cn(group)
    assert [(shell["count"], shell["distance"]) for shell in answer.cn_shells] == [(6, 2.61), (6, 2.87)]
    assert str(answer).endswith(f", shells 6 + 6 (2.61 and 2.87 Å in {answer.cn_shells[0]['formula']})")
    assert answer.row()["cn_shells"] == "6 + 6"
    assert Prediction.from_group(group.cn_predict) == answer
    assert predict_cn(measured("CuO")).cn_shells == []  # 4, in one shell
    assert "Known sites whose spectra are most like it have these in two shells: 6 + 6" in cn_report(group)


@pytest.mark.usefixtures("split")
def test_no_shells_of_what_is_no_one_site_or_out_of_domain_or_a_guess(measured, monkeypatch):
    group = measured("Cu_foil")
    with monkeypatch.context() as guessed:
        guessed.setattr("larch_cnpredict.ask.LIKELY", 1.0)
        assert predict_cn(group).cn_shells == []
    outside = Group(k=group.k, chi=-group.chi, e0=group.e0)
    answer = predict_cn(outside, element="Cu")
    assert not answer.in_domain
    assert answer.cn_shells == []
    describe = samples.describe
    monkeypatch.setattr(samples, "describe", lambda *given: [replace(s, kind=KINDS[1]) for s in describe(*given)])
    answer = predict_cn(group)
    assert (answer.kind, answer.in_domain, answer.cn_shells) == (KINDS[1], True, [])
