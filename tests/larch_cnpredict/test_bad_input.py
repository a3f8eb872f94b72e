"""What may be wrong with a spectrum: each its own sentence, and the group as it was."""

import pickle
import re

import numpy as np
import pytest
from larch import Group
from larch.xafs import xftf

from larch_cnpredict import errors, explain, predict_cn
from tests.helpers import TRAINING, contents


def _nan(group):
    group.chir_mag[7] = np.nan


def _short(group):
    group.chi = group.chi[:100]
    group.k = group.k[:100]


def _delete(*names):
    def change(group):
        for name in names:
            delattr(group, name)

    return change


def _set(**values):
    def change(group):
        for name, value in values.items():
            setattr(group, name, value(group) if callable(value) else value)

    return change


BAD = [
    (_delete("k", "chi", "r", "chir_mag"), errors.MissingArrayError, "no chi.k. and no chi.R.: run autobk and xftf"),
    (_delete("r"), errors.MissingArrayError, "has no r, though it has chir_mag"),
    (_nan, errors.BadArrayError, "chir_mag of .* NaN or infinity at 1 of its 326 points"),
    (_set(chi=lambda g: g.chi[:-3]), errors.BadArrayError, "chi of .* has [0-9]+ points and k has"),
    (_set(chir_mag=lambda g: g.chir), errors.BadArrayError, "must hold real numbers, not complex128"),
    (_set(chir_mag=lambda g: g.chir_mag[None]), errors.BadArrayError, "one row of at least 20 numbers"),
    (_set(chir_mag=lambda g: 0 * g.r), errors.BadArrayError, "chir_mag of .* is zero everywhere"),
    (_set(chir_mag=lambda g: g.chir_re), errors.BadArrayError, "has negative values"),
    (_set(r=lambda g: g.r[::-1]), errors.BadArrayError, "r of .* does not rise"),
    (_set(k=[], chi=[]), errors.BadArrayError, "at least 20 numbers"),
    (_short, errors.RangeTooShortError, r"up to k = 4.95 Å\^-1: the models need it up to at least 8.5"),
    (lambda g: xftf(g, **{**TRAINING, "kmax": 4}), errors.RangeTooShortError, "was transformed up to k = 4 "),
    (_set(k=lambda g: g.k + 3.5), errors.RangeTooShortError, r"has chi\(k\) from k = 3.5"),
    (lambda g: (xftf(g, **{**TRAINING, "kmax": 4}), _delete("k", "chi")(g)), errors.TransformError, "kmax=4"),
]


@pytest.mark.parametrize("end", ["is it in eV?", "Larch says so.", "and so on ..."])
def test_one_mark_ends_each_sentence(end):
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and "sentence" in vars(kind)]
    assert len(kinds) > 10
    for kind in kinds:
        parts = [7.0 if "{:.1f}" in kind.sentence and i == 2 else end for i in range(4)]
        assert not re.search(r"[.?!]\.$", str(kind(*parts)))


@pytest.mark.parametrize(("spoil", "error", "sentence"), BAD)
def test_bad_spectra(measured, spoil, error, sentence):
    group, good = measured(**TRAINING), measured("Ni_foil")
    spoil(group)
    before = contents(group)
    with pytest.raises(error, match=sentence) as caught:
        predict_cn(group)
    assert "'Cu_foil_liquid_nitrogen.dat'" in str(caught.value)
    assert caught.value.args == (str(caught.value),)  # what Larch's own error display joins
    assert contents(group) == before
    failed, answer = predict_cn([group, good], errors="collect")
    assert type(failed) is error
    assert contents(group) == before
    assert good.cn_predict.cn == answer.cn


def test_an_edge_is_looked_for_where_there_may_be_none(measured):
    def of(energy, mu, **labels) -> Group:
        return Group(k=source.k, chi=source.chi, energy=energy, mu=mu, **labels)

    source = measured("CuO")
    assert predict_cn(of(source.energy[::-1], source.mu[::-1])).element == "Cu"
    # no number that an energy can be: mu(E) has one
    assert predict_cn(of(source.energy, source.mu, e0=8979 + 0j)).element == "Cu"
    for energy in (0 * source.energy, source.energy * (1 + 0j), np.full(len(source.energy), np.nan)):
        (failed,) = predict_cn([of(energy, source.mu)], errors="collect")
        assert isinstance(failed, errors.UnknownAbsorberError)


@pytest.mark.parametrize(
    "odd",
    [{"k": 3}, {"nfft": "2048"}, {"kmax": [12]}, {"kstep": 0}, {"kweight": 1j}, {"window": 5}, {"dk": float("nan")}],
)
def test_a_record_of_xftf_that_makes_no_sense(measured, odd):
    group, wanted = measured("CuO"), predict_cn(measured("CuO"), transform="training")
    group.callargs.xftf = {**group.callargs.xftf, **odd}
    answer = predict_cn(group)
    np.testing.assert_allclose(answer.probabilities, wanted.probabilities, atol=1e-6)
    if "k" not in odd:
        assert "does not say how it was made" in answer.notes[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"edge": 1}, errors.UnsupportedAbsorberError),
        ({"model": ["network"]}, errors.OptionError),
        ({"model": "magnitude"}, errors.OptionError),
        ({"transform": "mine"}, errors.OptionError),
        ({"element": float("inf")}, errors.OptionError),
        ({"element": "Q"}, errors.OptionError),
        ({"element": 26.7}, errors.OptionError),
        ({"element": ""}, errors.OptionError),
        ({"models": 5}, errors.OptionError),
        ({"transform": ["auto"]}, errors.OptionError),
    ],
)
def test_options_of_another_kind(measured, options, error):
    group = measured("CuO")
    before = contents(group)
    for function in (predict_cn, explain):
        with pytest.raises(error):
            function(group, **options)
    assert contents(group) == before


def test_neither_group_nor_arrays():
    with pytest.raises(errors.InputError, match="no group of the name 'cu'"):
        predict_cn("cu")
    for wrong in (np.arange(9.0), [5.0, 6.0], 5):
        with pytest.raises(errors.InputError, match=r"given, (ndarray|float|int), is no Larch group"):
            predict_cn(wrong)
    with pytest.raises(errors.MissingArrayError, match="no data at all"):
        predict_cn(Group())


def test_points_that_are_masked_or_too_far_apart(measured):
    group = measured("Cu_foil")
    for step, fails in ((5, False), (6, True)):
        thin = Group(k=group.k[::step], chi=group.chi[::step], element="Cu")
        if fails:
            with pytest.raises(errors.BadArrayError, match=r"points 0\.30 Å\^-1 apart, and chi\(R\) up to 6 Å needs"):
                predict_cn(thin)
        else:
            assert predict_cn(thin).cn == 12
    masked = np.ma.array(group.chi, mask=np.abs(group.k - 5) < 0.1)
    with pytest.raises(errors.BadArrayError, match="chi of the group has masked points"):
        predict_cn(Group(k=group.k, chi=masked, element="Cu"))


def test_a_reference_that_is_no_group_is_said_by_its_name(measured):
    with pytest.raises(errors.OptionError, match=r"^reference='foil2' must be a foil's group"):
        predict_cn(measured("CuO"), reference="foil2")


def test_arrays_beside_a_group_are_not_ignored(measured):
    group, other = measured("CuO"), measured("Ni_foil")
    before = contents(group)
    for arrays in ({"chir_mag": other.chir_mag}, {"k": other.k}, {"k": other.k, "chi": other.chi}):
        for given in (group, [group]):
            with pytest.raises(errors.GroupAndArraysError, match=" and ".join(arrays) + " cannot be given beside"):
                predict_cn(given, **arrays)
    assert contents(group) == before


def test_errors_survive_leaving_a_worker_process():
    error = errors.BadArrayError("'x'", "chi", "is odd")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.BadArrayError
    assert str(again) == str(error) == "chi of 'x' is odd."
