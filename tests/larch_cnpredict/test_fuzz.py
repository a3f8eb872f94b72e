"""A thousand spoilt groups: nothing but a CNPredictError of its own sentence, no warning, and the group as it was."""

from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
from larch import Group
from matplotlib.figure import Figure

from larch_cnpredict import CNPredictError, Prediction, explain, plot_cn, predict_cn
from larch_cnpredict.errors import UnexpectedError
from tests.helpers import WRITTEN, contents

pytestmark = pytest.mark.filterwarnings("error")

ARRAYS = ("k", "chi", "r", "chir_mag", "energy", "mu")
ODD = [
    *(None, 0, 1, -1, 26, True, 1j, np.complex128(7112), 10**400, np.float32(7112), np.array(7112.0), 7126.5, 1e308),
    *(float("inf"), float("nan"), -7112.0, 7112.0, "", " ", "Fe", "fe", "Xx", "K", "l3", "nan", "1e999", b"Fe", "Fe\0"),
    *([], {}, [1.0, 2.0], {"k": 1}, object, Group(), np.arange(3.0), np.array(["a"]), lambda: 0, 2048.0, "2", -1e-300),
]
ARRAY_CHANGES: list[Callable] = [
    *(lambda x, rng: None, lambda x, rng: x.tolist(), lambda x, rng: x[::-1], lambda x, rng: -x, lambda x, rng: 0 * x),
    *(lambda x, rng: 1e300 * x, lambda x, rng: 1e-310 * x, lambda x, rng: 1e30 * x, lambda x, rng: 1e5 * x),
    *(lambda x, rng: x + 1j, lambda x, rng: x.astype(object), lambda x, rng: x.astype(str), lambda x, rng: x > 1),
    *(lambda x, rng: x.astype("f4"), lambda x, rng: x.astype(np.longdouble) * np.longdouble("1e400")),
    *(lambda x, rng: x.astype("i8"), lambda x, rng: x[None], lambda x, rng: x[0], lambda x, rng: x[:0]),
    lambda x, rng: 3,
    *(lambda x, rng: x[: rng.integers(1, len(x))], lambda x, rng: np.repeat(x, 2), lambda x, rng: x + rng.normal()),
    *(lambda x, rng: rng.permutation(x), lambda x, rng: np.ma.masked_less(x, 1), lambda x, rng: [x.tolist(), 3]),
    *(lambda x, rng: {"x": x}, lambda x, rng: "chi", lambda x, rng: np.cumsum(np.abs(x)), lambda x, rng: x**3),
    *(lambda x, rng: np.where(np.arange(len(x)) == rng.integers(len(x)), np.nan, x),),
    *(lambda x, rng: np.where(np.arange(len(x)) == rng.integers(len(x)), np.inf, x),),
    *(lambda x, rng: rng.normal(size=len(x)), lambda x, rng: np.linspace(0, 1, len(x)), lambda x, rng: 0 * x + 1),
]
XFTF = ("kmin", "kmax", "kweight", "kw", "dk", "dk2", "window", "kstep", "nfft", "rmax_out", "k", "chi", "group", "odd")
LABELS = ("element", "edge", "atsym", "e0", "ek0", "rbkg", "filename", "journal", "attrs", "athena_params", "callargs")


def odd(rng: np.random.Generator):
    return ODD[rng.integers(len(ODD))]


def change_array(group: Group, rng: np.random.Generator) -> None:
    name = ARRAYS[rng.integers(len(ARRAYS))]
    if hasattr(group, name) and isinstance(getattr(group, name), np.ndarray) and getattr(group, name).dtype.kind == "f":
        if rng.random() < 0.2:
            delattr(group, name)
        elif getattr(group, name).ndim == 1 and len(getattr(group, name)) > 2:
            with np.errstate(all="ignore"):
                setattr(group, name, ARRAY_CHANGES[rng.integers(len(ARRAY_CHANGES))](getattr(group, name), rng))


def change_label(group: Group, rng: np.random.Generator) -> None:
    setattr(group, LABELS[rng.integers(len(LABELS))], odd(rng))


def change_record(group: Group, rng: np.random.Generator) -> None:
    record = getattr(getattr(group, "callargs", None), "xftf", None)
    record = dict(record) if isinstance(record, dict) else {}
    record[XFTF[rng.integers(len(XFTF))]] = odd(rng)
    group.callargs = Group(xftf=record if rng.random() < 0.9 else odd(rng))


def change_metadata(group: Group, rng: np.random.Generator) -> None:
    group.attrs = {"element": {"symbol": odd(rng), "edge": odd(rng)} if rng.random() < 0.7 else odd(rng)}
    group.athena_params = SimpleNamespace(bkg=SimpleNamespace(z=odd(rng)), fft=SimpleNamespace(edge=odd(rng)))


def change_e0(group: Group, rng: np.random.Generator) -> None:
    group.e0 = rng.uniform(-100, 30000)


CHANGES = (*[change_array] * 3, *[change_label] * 2, change_record, change_metadata, change_e0)


def changed(group: Group, seed: int) -> Group:
    rng = np.random.default_rng(seed)
    group = deepcopy(group)
    for _ in range(rng.integers(1, 4)):
        CHANGES[rng.integers(len(CHANGES))](group, rng)
    return group


def is_sentence(error: Exception) -> bool:
    """An error of the hierarchy with its own sentence, not one that the last net has caught."""
    return isinstance(error, CNPredictError) and not isinstance(error, UnexpectedError) and str(error).endswith(".")


def test_a_thousand_spoilt_groups(measured):
    sources = [measured("CuO"), measured("Ni_foil", kmin=2, kmax=11, dk=4)]
    groups = [changed(sources[seed % 2], seed) for seed in range(1000)]
    before, but_written = [[contents(group, but) for group in groups] for but in ((), WRITTEN)]
    answers = predict_cn(groups, errors="collect")
    failed = [i for i, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert 300 < len(failed) < 900
    for i in failed:
        assert is_sentence(answers[i]), (i, repr(answers[i].__cause__))
        for function in (explain, plot_cn):
            with pytest.raises(CNPredictError) as caught:
                function(groups[i])
            assert is_sentence(caught.value), (i, function, repr(caught.value.__cause__))
        assert contents(groups[i]) == before[i], i
    good = [i for i, answer in enumerate(answers) if isinstance(answer, Prediction)]
    assert len(good) + len(failed) == 1000
    for i in good:
        assert sum(answers[i].probabilities) == pytest.approx(1)
        assert str(Prediction.from_group(groups[i].cn_predict)) == str(answers[i])
        assert contents(groups[i], WRITTEN) == but_written[i], i
    for i in good[::40]:
        assert plot_cn(groups[i], figure=Figure()).axes, i


def outcome(function: Callable, *args, **options) -> object:
    """What it returns, or the CNPredictError that it raises."""
    try:
        return function(*args, **options)
    except CNPredictError as error:
        return error


@pytest.mark.parametrize(
    "option",
    ["element", "edge", "model", "transform", "models", "errors", "reference", "one_site"],
)
def test_odd_options(measured, option):
    source = measured("CuO")
    for value in [*ODD, ["network"], {"default"}, ("auto",)]:
        for function in (predict_cn, explain)[: 1 if option in ("errors", "reference", "one_site") else 2]:
            group = deepcopy(source)
            before = contents(group)
            answer = outcome(function, group, **{option: value})
            if isinstance(answer, Exception):
                assert is_sentence(answer), (value, repr(answer.__cause__))
                assert contents(group) == before, value


@pytest.mark.parametrize("value", [*ODD, [], "nope"], ids=lambda value: type(value).__name__)
def test_odd_groups(measured, value):
    good = measured("CuO")
    answer, other = predict_cn([value, good], errors="collect")
    assert is_sentence(answer) or isinstance(value, Group)
    assert other.cn == 4
    for function in (predict_cn, explain, plot_cn):
        if function is predict_cn and isinstance(value, list) and not value:
            assert function(value) == []
            continue
        with pytest.raises(CNPredictError) as caught:
            function(value)
        assert is_sentence(caught.value), repr(caught.value.__cause__)


def test_odd_results(measured):
    """What somebody else, an earlier version or a broken file has left as cn_predict."""
    source = measured("CuO")
    predict_cn(source)
    for name in vars(source.cn_predict):
        for value in ODD:
            made = deepcopy(source.cn_predict)
            setattr(made, name, value)
            answer = outcome(Prediction.from_group, made)
            assert is_sentence(answer) if isinstance(answer, Exception) else str(answer)
    for value in ODD[::6]:
        group = deepcopy(source)
        group.cn_predict = value
        assert plot_cn(group, figure=Figure()).axes
        assert group.cn_predict.cn == 4
