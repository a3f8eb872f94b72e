"""cn_report: the paragraph says what was found, how, and how sure it is."""

import numpy as np
import pytest

import larch_cnpredict
from larch_cnpredict import cn_report, errors, explain, predict_cn


def test_the_paragraph_has_all_that_a_supplement_needs(measured):
    group = measured("CuO", kmin=3, kmax=11.5, kweight=2, dk=1, window="hanning")
    made = predict_cn(group)
    text = cn_report(group)
    low, high = made.interval
    for words in (
        "Cu K-edge EXAFS, background removed by autobk with Rbkg = 1 Å",
        "from k = 3 to 11.5 Å^-1 (hanning window, dk = 1 Å^-1)",
        f"larch-cnpredict {larch_cnpredict.__version__}, version {made.model_version}",
        f"coordination number {made.cn} (p = {made.p:.2f}, 90 % prediction set {made.set_text})",
        f"is {made.cn_mean:.1f} (90 % interval {low:.1f} to {high:.1f})",
        "like those that the models know",
        "012007",
    ):
        assert words in text
    assert "\n" not in text
    best = group.cn_predict.importance_r[group.cn_predict.importance.argmax()]
    assert f"from {best - 0.3:.1f} to {best + 0.3:.1f} Å" in text


def test_no_one_number_and_outside_are_said(measured):
    group = measured("Ni_foil")
    cn_report(group)
    made = group.cn_predict
    made.kind, made.cn_mean_interval = "particle or strongly disordered", [8.2, 9.9]
    made.in_domain, made.notes, made.mixture = False, ["it is flat", "transformed"], 0.93
    text = cn_report(group)
    kind = "'particle or strongly disordered' (probability of more than one number 0.93)"
    assert f"It reads the sample as {kind}. Atoms at surfaces" in text
    assert "interval 8.2 to 9.9" in text
    assert "prediction set" not in text
    assert "What carries this" not in text
    assert "OUTSIDE WHAT THE MODELS KNOW, and the number is not to be used: it is flat. Notes: transformed." in text
    made.notes = ["it is flat, is it?"]
    assert "is not to be used: it is flat, is it? To cite" in cn_report(group)
    made.notes += ["is it what it is taken for?"]
    assert "is it? Notes: is it what it is taken for? To cite" in cn_report(group)


def test_the_transforms_that_are_read_and_whose_they_are(measured):
    group = measured("CuO")
    text = cn_report(group)
    said = "chi(k), weighted by k^1, k^2 and k^3, each by itself, was Fourier transformed from k = 3 to 12 "
    assert said in text
    assert "by networks that learnt from mixtures and particles too, is 4." in text
    assert all(name in text for name in ("AUTOBK (", "FEFF8 (", "Larch ("))
    predict_cn(group, transform="own")
    assert "; chi(k), weighted by k^2, was Fourier" in cn_report(group)


def test_what_hardly_carries_a_number_is_not_in_a_paper(measured):
    for importance, said in ((0.3, False), (0.4, True)):
        group = measured("CuO")
        explain(group)
        group.cn_predict.importance = importance * (np.arange(51) == 7)
        assert ("What carries this most is chi(R) from 1.4 to 2.0 Å" in cn_report(group)) is said


def test_what_was_told_beside_the_spectrum_is_said(measured):
    group = measured("CuO")
    assert "it was told" not in cn_report(group)
    predict_cn(group, elements="Cu O", reference=0.9)
    assert "Beside the spectrum, it was told the composition Cu O and s02 = 0.90." in cn_report(group)
    predict_cn(group, one_site=True)
    assert "Beside the spectrum, it was told that the sample is one site." in cn_report(group)
    assert "mean coordination number" not in cn_report(group)


def test_a_changed_group_is_asked_about_anew(measured, larch):
    larch_cnpredict.register(_larch=larch)
    larch.symtable.foil = group = measured("Cu_foil")
    first = larch.eval("cn_report('foil')")
    assert larch.error == []
    group.chi = 0.7 * group.chi
    assert cn_report(group) != first
    group.chi = np.nan * group.chi
    made = group.cn_predict
    with pytest.raises(errors.CNPredictError):
        cn_report(group)
    assert group.cn_predict is made


def test_a_result_that_somebody_changed_is_refused_in_a_sentence(measured):
    group = measured("Cu_foil")
    cn_report(group)
    group.cn_predict.importance = "much"
    with pytest.raises(errors.CNPredictError):
        cn_report(group)


def test_the_name_is_as_the_user_wrote_it(measured):
    group = measured("CuO")
    group.filename = """it's "50 %" FeS₂\\n"""
    assert cn_report(group).startswith(f"{group.filename}: Cu K-edge")
