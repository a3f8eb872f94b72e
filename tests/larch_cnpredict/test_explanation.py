"""explain: faithful on measured and simulated spectra, kept in sessions, and of no harm to the group."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from larch import Group
from larch.io.save_restore import read_session, save_session

from larch_cnpredict import (
    Prediction,
    errors,
    explain,
    explanation,
    features,
    plot_cn,
    predict_cn,
    samples,
    uncertainty,
)
from larch_cnpredict.explanation import CENTERS, SOME, occlude, part
from larch_cnpredict.models import load_models
from larch_cnpredict.predict import predict_spectra
from larch_cnpredict.request import Request
from larch_cnpredict.result import KINDS, is_stale
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import contents

TABLE = Path(__file__).parents[3] / "shared" / "data" / "mp_feff_exafs_v0.parquet"


def simulated(rows=range(100, 12900, 1600)) -> list[Group]:
    """Thermally damped FEFF spectra with noise."""
    parquet = pytest.importorskip("pyarrow.parquet")
    if not TABLE.exists():
        pytest.skip(f"{TABLE} is missing")
    table = parquet.read_table(TABLE, columns=["absorber", "chi_debye"]).take(list(rows)).to_pylist()
    rng, k = np.random.default_rng(1), features.K_GRID[:270]
    noise = rng.normal(0, 0.02, (len(table), len(k))) / np.maximum(k, 1) ** 2
    chis = [np.array(row["chi_debye"], dtype=float).reshape(5, -1)[2, : len(k)] for row in table]
    return [
        Group(k=k, chi=chi + error, element=row["absorber"], edge="K")
        for row, chi, error in zip(table, chis, noise, strict=True)
    ]


def fall(group: Group, order: np.ndarray, steps: int = 4) -> float:
    """How far ln p of the answer falls on average while parts of R are taken out in this order."""
    spectrum = read_spectrum(group)
    factors = np.multiply.accumulate(1 - part(CENTERS[order[:steps]]))
    whole, *fewer = predict_spectra([spectrum, *occlude(spectrum, factors)], Request(one_site=True), load_models())
    column = whole.classes.index(whole.cn)
    return float(np.mean([np.log(whole.p / answer.probabilities[column]) for answer in fewer]))


def is_faithful(group: Group, rng: np.random.Generator) -> bool:
    importance = explain(group).importance
    apart = np.arange(0, len(CENTERS), 3)  # 0.3 Å from each other: together they span all of R
    order = apart[np.argsort(-importance[apart])]
    others = [fall(group, rng.permutation(apart)) for _ in range(5)]
    return fall(group, order) > np.mean(others) > fall(group, order[::-1])


@pytest.mark.parametrize("stem", ["Cu_foil", "CuO", "Ni_foil"])
def test_taking_out_what_is_important_costs_more_than_taking_out_anything(measured, stem):
    assert is_faithful(measured(stem), np.random.default_rng(0))


@pytest.mark.shared
def test_faithful_on_simulated_spectra():
    rng, groups = np.random.default_rng(0), simulated()
    assert sum(is_faithful(group, rng) for group in groups) >= len(groups) - 1


def test_only_the_part_in_question_is_taken_out(measured):
    spectrum = read_spectrum(measured("CuO"))
    same, without = occlude(spectrum, np.vstack([np.ones_like(part(CENTERS)[0]), 1 - part(np.array([1.5]))]))
    whole = np.interp(same.r, spectrum.r, spectrum.chir_mag)
    np.testing.assert_allclose(same.chir_mag, whole, atol=1e-5 * whole.max())
    # the window of the transform smears some of the neighbouring R back in
    assert np.interp(1.5, without.r, without.chir_mag) < 0.35 * np.interp(1.5, same.r, whole)
    far = without.r > 2.5
    np.testing.assert_allclose(without.chir_mag[far], whole[far], atol=0.06 * whole.max())
    assert without.k[-1] <= spectrum.k[-1] + features.KSTEP


def test_it_is_the_first_shell_that_speaks_most(measured):
    found = explain(measured("CuO"))
    assert 1.0 < found.r[found.importance.argmax()] < 2.1


@pytest.mark.parametrize(("foil", "shells"), [("Cu_foil", (2.3, 4.1, 4.9)), ("Ni_foil", (2.2, 4.1, 4.8))])
def test_a_foil_is_known_by_more_than_one_shell_and_known_sites_are_named(measured, foil, shells):
    group = measured(foil)
    found = explain(group)
    assert found.prediction.cn == 12
    assert set(found.cn_without) == {12}  # whichever shell is taken out, the others say the same
    first, *far = (np.abs(found.r - shell) < width for shell, width in zip(shells, (0.3, 0.4, 0.4), strict=True))
    assert found.importance[first].max() > SOME
    carried = np.logical_or.reduce([first, *far])
    assert found.importance[carried].sum() > 0.7 * found.importance.clip(0).sum()
    site = rf"^looks like {foil[:2]} in \w+, mp-\d+ site \d+, CN 12 \([\w ]+\), dissimilarity \d\.\d\d$"
    assert len(re.findall(site, str(found), re.M)) >= 2
    assert str(predict_cn(group)) == str(found.prediction)


def test_the_nearest_site_is_more_like_the_spectrum_than_that_of_another(measured):
    groups = [measured(name) for name in ("Cu_foil", "CuO", "Ni_foil")]
    curves = [explain(group).nearest for group in groups]
    for i, group in enumerate(groups):
        own = np.interp(features.R_POOLED, group.r, group.chir_mag)
        assert max(range(3), key=lambda j: np.corrcoef(own, curves[j])[0, 1]) == i


@pytest.mark.parametrize("kept", [("k", "chi"), ("r", "chir_mag")])
def test_half_of_a_group_is_enough(measured, kept):
    whole = measured("CuO")
    half = Group(**{name: getattr(whole, name) for name in kept}, element="Cu", edge="K")
    found = explain(half, transform="auto" if "chi" in kept else "own")
    assert found.prediction.cn == 4
    assert found.importance.max() > 0.05


def test_it_asks_what_was_asked_before(measured):
    group = measured("CuO")
    del group.e0, group.energy
    predict_cn(group, element="Cu", model="forest", transform="training")
    found = explain(group)
    assert found.prediction.model == "forest"
    assert group.cn_predict.request["transform"] == "training"
    other = measured("CuO")
    other.cn_predict = Group(cn=7)  # of somebody else's making
    assert explain(other).prediction.model == "default"


def test_kept_in_a_session_and_no_hindrance_to_the_prediction(measured, larch, tmp_path):
    group = measured("CuO")
    found = explain(group)
    larch.symtable.cuo = group
    path = str(tmp_path / "explained.larix")
    save_session(path, _larch=larch)
    back = read_session(path).symbols["cuo"]
    np.testing.assert_array_equal(back.cn_predict.importance, found.importance)
    np.testing.assert_array_equal(back.cn_predict.importance_r, found.r)
    assert Prediction.from_group(back.cn_predict) == found.prediction
    assert not is_stale(back)


def test_a_group_that_cannot_be_explained_is_left_as_it_was(measured):
    group = measured("CuO")
    predict_cn(group)
    group.chi = group.chi.copy()
    group.chi[50] = np.nan
    before = contents(group)
    with pytest.raises(errors.BadArrayError):
        explain(group)
    with pytest.raises(errors.OptionError):
        explain(measured("CuO"), model="oracle")
    assert contents(group) == before


def test_importance_is_of_p_before_the_sample_lowers_it(measured, monkeypatch):
    monkeypatch.setattr(uncertainty, "with_sample", lambda p, *given: np.full_like(p, 1 / len(p)))
    assert explain(measured("CuO")).importance.max() > SOME


def test_a_part_by_hand():
    (window,) = part(np.array([2.0]))
    assert np.interp([1.69, 1.85, 2.0, 2.15, 2.31], explanation._R_FFT, window) == pytest.approx(
        [0, 0.5, 1, 0.5, 0], abs=0.02
    )


def test_the_summary_says_how_much_of_p_is_left(measured):
    found = explain(measured("CuO"))
    ((low, high, left),) = re.findall(r"R = ([\d.]+) to ([\d.]+) Å: without it (\d+)% of p are left", str(found))
    assert float(low) == pytest.approx(found.r[found.importance.argmax()] - 0.3, abs=0.06)
    assert float(high) - float(low) == pytest.approx(0.6, abs=0.01)
    assert int(left) == pytest.approx(100 * np.exp(-found.importance.max()), abs=0.6)


def test_of_several_sites_it_is_said_which_number_is_explained(measured, monkeypatch):
    describe = samples.describe
    monkeypatch.setattr(samples, "describe", lambda *given: [replace(s, kind=KINDS[1]) for s in describe(*given)])
    group = measured("Cu_foil")
    words = str(explain(group)).splitlines()[1]
    assert words.startswith(f"as one number CN 12 (p = {group.cn_predict.probabilities[11]:.2f}): carried most by R = ")
    figure = plot_cn(group)
    assert "what CN 12, as one number, rests on" in figure.axes[0].get_title()
    assert {bar.get_facecolor() for bar in figure.axes[1].patches} == {(0.5, 0.5, 0.5, 0.45)}  # no set of one site
    monkeypatch.setattr(uncertainty, "with_sample", lambda p, *given: np.full(16, 1 / 16))
    found = explain(group)
    assert str(found.prediction).endswith("several sites or phases; no one number")
    assert str(found).splitlines()[1].startswith("looks like")  # nothing carries what is not said
    figure = plot_cn(group)
    assert figure.axes[0].get_title() == "no one number"
    assert len(figure.axes[0].images) == 0
