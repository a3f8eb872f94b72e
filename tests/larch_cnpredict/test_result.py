"""The prediction as text and as a Larch group: sessions, Athena export, staleness."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from larch import Group
from larch.io import read_athena, read_session
from larch.xafs import autobk, xftf
from matplotlib.figure import Figure

from larch_cnpredict import errors, explain, models, plot_cn, predict_cn
from larch_cnpredict.request import Request
from larch_cnpredict.result import KINDS, Prediction, is_stale, mean_text, p_text, safe_cells, write
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import TRAINING, athena

SPLIT = [{"count": 4, "distance": 1.95, "formula": "CuO"}, {"count": 2, "distance": 2.4, "formula": "CuO"}]


def prediction(group: Group, **changes) -> Prediction:
    spectrum = read_spectrum(group)
    values = {
        "cn": 6,
        "cn_mean": np.float64(5.94),
        "cn_std": np.float32(0.4),
        "classes": np.arange(4, 8),
        "probabilities": np.array([0.02, 0.04, 0.93, 0.01]),
        "cn_set": [6],
        "element": spectrum.element,
        "edge": spectrum.edge,
        "model": "default",
        "model_version": "test",
        "family": "phase",
        "in_domain": np.bool_(True),
        "domain_score": 0.5,
        "notes": ["a note"],
        "xftf": spectrum.xftf,
        "fingerprint": spectrum.fingerprint,
        "neighbours": [{"site": "mp-226:0", "formula": "FeS2", "cn": 6, "shell": "6 S", "distance": 0.1}],
    }
    group_of_plain_values = Group(**{**values, **changes})
    return Prediction.from_group(group_of_plain_values)


def test_reads_as_one_line(measured):
    group = measured()
    assert str(prediction(group)) == "Cu K: CN 6 (p = 0.93, 90 % set {6}), mean 5.9 [5.3, 6.6]"
    some = prediction(group, cn_mean_interval=[5.1, 6.3], mixture=0.8, kind="several sites or phases")
    assert str(some) == "Cu K: mean CN 5.9 [5.1, 6.3], several sites or phases; as one number CN 6 (p = 0.93)"
    split = prediction(group, cn_shells=SPLIT)
    assert str(split).endswith("mean 5.9 [5.3, 6.6], shells 4 + 2 (1.95 and 2.40 Å in CuO)")
    assert split.row()["cn_shells"] == "4 + 2"
    outside = prediction(group, in_domain=False, cn_set=[4, 6], notes=["it is flat", "transformed"])
    assert repr(outside).endswith("90 % set {4, 6}), mean 5.9 [5.3, 6.6] — outside what the models know: it is flat")


def test_is_written_with_a_journal_entry(measured):
    group = measured()
    made = prediction(group)
    write(group, made)
    assert type(group.cn_predict) is Group
    assert Prediction.from_group(group.cn_predict) == made
    assert group.journal.get("cn_predict").value == f"{made} [model default test]"
    write(group, replace(made, request=Request(formula="CuO", one_site=True, reference=0.9)))
    told = "formula='CuO', reference=0.9, one_site=True"
    assert group.journal.get("cn_predict").value.endswith(f"[model default test, {told}]")
    bare = Group()
    write(bare, made)
    assert bare.journal.get("cn_predict").value.startswith("Cu K: CN 6")


def test_what_a_session_would_break_is_refused_before_anything_is_written(measured):
    group = measured()
    with pytest.raises(TypeError, match="set does not survive a Larch session"):
        write(group, replace(prediction(group), cn_set={6}))
    assert not hasattr(group, "cn_predict")


def test_survives_a_session(measured, larch, tmp_path):
    group = measured()
    made = prediction(group, cn_shells=SPLIT)
    write(group, made)
    larch.symtable.cu = group
    larch(f"save_session('{tmp_path / 'one.larix'}')")
    assert larch.error == []
    back = read_session(str(tmp_path / "one.larix")).symbols["cu"]
    again = Prediction.from_group(back.cn_predict)
    assert asdict(again) == asdict(made)
    assert {type(value) for value in asdict(again).values()} <= {int, float, str, bool, list, dict, type(None)}
    assert not is_stale(back)
    assert back.journal.get("cn_predict").value.startswith("Cu K: CN 6")
    np.testing.assert_array_equal(back.chir_mag, group.chir_mag)


def test_athena_export_still_works(measured, tmp_path):
    group = measured()
    write(group, prediction(group))
    (back,) = read_athena(str(athena(tmp_path / "one.prj", group))).groups.values()
    np.testing.assert_allclose(back.mu, group.mu)


def test_stale_once_arrays_change(measured):
    group = measured()
    assert not is_stale(group)
    write(group, prediction(group))
    assert not is_stale(group)
    xftf(group, kmin=2, kmax=15, dk=4)  # a transform for display: k and chi give the same answer as before
    xftf(group, **TRAINING)
    assert not is_stale(group)
    group.element = "Ni"
    assert is_stale(group)
    del group.element
    autobk(group, rbkg=1.2)
    assert is_stale(group)
    xftf(group, **TRAINING)
    assert is_stale(group)
    del group.chi
    group.chir_mag[3] = np.nan
    assert is_stale(group)


def test_stale_is_asked_as_the_prediction_was(measured):
    group = measured(kmin=2, kmax=10)
    spectrum = read_spectrum(group, Request(element="Fe", edge="K", transform="own"))
    request = {"element": "Fe", "edge": "K", "model": "default", "transform": "own", "models": None}
    write(group, prediction(group, fingerprint=spectrum.fingerprint, element="Fe", request=request))
    assert not is_stale(group)
    xftf(group, kmin=2, kmax=11)
    assert is_stale(group)


def test_a_mean_reads_alike_wherever_it_comes_from(measured):
    answer = prediction(measured(), cn_mean=5.25004, cn_mean_interval=[4.9, 6.34996])
    row = answer.row()
    assert mean_text(row["cn_mean"], (row["cn_mean_low"], row["cn_mean_high"])) == answer.mean_text


@pytest.mark.parametrize(
    ("changes", "verdict", "advice"),
    [
        ({}, "ok", "one number is left"),
        ({"kind": "several sites or phases"}, "several", "quote the mean with its 90 % interval"),
        ({"cn_set": [4, 6]}, "undecided", "quote the 90 % set"),
        ({"in_domain": False}, "outside", "do not use this number"),
    ],
)
def test_a_verdict_and_a_row(measured, changes, verdict, advice):
    answer = prediction(measured(), **changes)
    assert (answer.verdict, answer.row()["verdict"]) == (verdict, verdict)
    assert advice in answer.advice
    assert answer.reason == ("a note" if verdict == "outside" else "")
    assert answer.row() | {"cn_set": 0, "in_domain": 0, "verdict": 0, "kind": 0} == {
        **{
            "absorber": "Cu K",
            "cn": 6,
            "p": 0.93,
            "cn_set": 0,
            "cn_mean": 5.94,
            "cn_std": 0.4,
            "in_domain": 0,
            "kmax": 12,
        },
        **{"cn_mean_low": 5.282, "cn_mean_high": 6.598, "kind": 0, "cn_shells": "", "mixture": ""},
        **{"verdict": 0, "model": "default", "family": "phase", "model_version": "test", "notes": "a note"},
    }


def test_the_only_number_of_a_set_is_not_sound_where_it_is_not_likely(measured):
    unlikely = prediction(measured(), cn=4, cn_set=[4])
    assert unlikely.p < 0.5
    assert unlikely.verdict == "undecided"


def as_an_earlier_version_wrote(group: Group) -> Group:
    """cn_predict of version 0.1.0 with models 2026.11.4."""
    answer = explain(group).prediction
    made = group.cn_predict
    del made.request, made.family, made.cn_shells
    made.fingerprint = f"auto:::{answer.fingerprint}"
    made.model = "default, |chi(R)| alone"
    made.families = {"network": {"cn": answer.cn, "p": 0.9}, "shells": {"cn": answer.cn, "p": 0.9}}
    return made


def test_a_result_of_an_earlier_version_is_stale_can_be_read_and_is_made_anew(measured):
    group = measured("CuO")
    made = as_an_earlier_version_wrote(group)
    assert is_stale(group)
    read = Prediction.from_group(made)
    assert (read.cn, read.family, read.request, read.cn_shells) == (4, "", Request(), [])
    assert str(read).startswith("Cu K: CN 4 ")
    assert len(plot_cn(group, figure=Figure()).axes) == 2
    assert group.cn_predict is not made
    assert group.cn_predict.family == "phase"
    assert not is_stale(group)


def test_what_is_no_result_is_said(measured):
    group = measured("CuO")
    for made, sentence in (
        (Group(cn=7), "cn_predict lacks classes, cn_mean, .*run predict_cn again"),
        (5, "cn_predict lacks classes, cn, "),
        (None, "cn_predict lacks classes, cn, "),
    ):
        with pytest.raises(errors.ResultError, match=sentence):
            Prediction.from_group(made)
    predict_cn(group)
    group.cn_predict.cn_shells = [8, 6]
    with pytest.raises(errors.ResultError, match="cn_predict cannot be read"):
        Prediction.from_group(group.cn_predict)
    predict_cn(group)
    group.cn_predict.cn = 99
    with pytest.raises(errors.ResultError, match="cn_predict cannot be read"):
        Prediction.from_group(group.cn_predict)


def test_the_same_models_are_asked_again(measured, tmp_path):
    folder = shutil.copytree(models.default_folder(), tmp_path / "mine")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": "mine"}))
    group = measured("CuO")
    predict_cn(group, models=folder)
    assert group.cn_predict.request["models"] == str(folder)
    assert explain(group).prediction.model_version == "mine"
    group.chi = 0.99 * group.chi
    plot_cn(group, figure=Figure())
    assert group.cn_predict.model_version == "mine"
    assert explain(group, models=models.default_folder()).prediction.model_version != "mine"
    predict_cn(group, models=folder)
    shutil.rmtree(folder)
    models._load.cache_clear()
    with pytest.raises(errors.ModelFileError, match="mine is missing"):
        explain(group)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-foil", "'-foil"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        (" =1", "' =1"),
        ("-1.5", "-1.5"),
        ("+3e-2", "+3e-2"),
        (-0.5, -0.5),
        ("Cu foil - 10 K", "Cu foil - 10 K"),
        ("", ""),
    ],
)
def test_no_cell_is_run_by_a_spreadsheet(cell, written):
    assert safe_cells({"group": cell}) == {"group": written}


@pytest.mark.parametrize(("p", "verdict"), [(0.51, "ok"), (0.49, "undecided")])
def test_a_number_is_likely_from_one_half_on(measured, p, verdict):
    assert prediction(measured(), probabilities=[0, 0, p, 1 - p]).verdict == verdict


def test_what_differs_does_so_both_ways(measured):
    one = prediction(measured(), cn_mean=5.0)
    several = replace(one, kind=KINDS[1], cn_mean=6.0)
    assert one.differs(several)
    assert several.differs(one)
    assert not one.differs(replace(several, cn_mean=5.4))


def test_nothing_is_said_to_be_certain():
    assert [p_text(p) for p in (0.72, 0.994, 0.9951, 1.0)] == ["p = 0.72", "p = 0.99", "p > 0.99", "p > 0.99"]
