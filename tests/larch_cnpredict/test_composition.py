"""What the sample is made of: how it is said, what it changes, and what is refused."""

import numpy as np
import pytest
from larch.io import read_xdi
from pymatgen.core import Composition as PymatgenComposition
from pymatgen.core import Element

from larch_cnpredict import composition, errors, predict_cn
from larch_cnpredict.cli import predict_files
from larch_cnpredict.files import process
from larch_cnpredict.result import Prediction, is_stale
from tests.helpers import EXAMPLES, contents

XDI = EXAMPLES / "CuO_liquid_nitrogen.xdi"


@pytest.mark.parametrize(
    ("formula", "same"),
    [
        ("Na2CrO4", "Na2CrO4"),
        ("Na2 Cr O4", "Na2CrO4"),
        ("K3[Cr(CN)6]", "K3Cr(CN)6"),
        ("Cr0.5Fe.5O1.5", "CrFeO3"),
        ("CrSO4.5H2O", "CrSO4(H2O)5"),
        ("CrSO4·5H2O", "CrSO4(H2O)5"),
        ("CrSO4*5H2O", "CrSO4(H2O)5"),
        ("CrSO4•5H2O", "CrSO4(H2O)5"),
        ("CrSO4.5(H2O)", "CrSO4(H2O)5"),
        ("CrSO4 5H2O", "CrSO4(H2O)5"),
        ("CrSO4.5D2O", "CrSO4(H2O)5"),
        ("Cr(NO3)2·2.5H2O", "Cr2(NO3)4(H2O)5"),
        ("Cr(NO3)2.2.5H2O", "Cr2(NO3)4(H2O)5"),
        ("Cr2O3⋅0.5H2O", "Cr4O6(H2O)"),
        ("CrSO4 . 5 H2O", "CrSO4(H2O)5"),
        ("CrCl3 6 H2O", "CrCl3(H2O)6"),
        ("0.5Li2CrO3·0.5LiCrO2", "Li3Cr2O5"),
        ("Cr(OH)₃", "Cr(OH)3"),
        ("Cr", "Cr"),
    ],
)
def test_formulas_are_read_as_pymatgen_reads_them(formula, same):
    amounts = composition.read("formula", formula, "it", "Cr").amounts
    expected = PymatgenComposition(same).fractional_composition.get_el_amt_dict()
    assert {symbol: n / sum(amounts.values()) for symbol, n in amounts.items()} == pytest.approx(expected)


@pytest.mark.parametrize("text", ["Na Cr O", "Na, Cr, O", "Na-Cr-O", "na cr o", "Na+Cr+O", "sodium chromium oxygen"])
def test_elements_are_names_apart(text):
    assert composition.read("elements", text, "it", "Cr").amounts == {"Na": 1, "Cr": 1, "O": 1}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"formula": "Na2CuO4)"}, r"formula='Na2CuO4\)' cannot be read: write it as in formula='Na2CrO4', or"),
        ({"formula": "cuo"}, "formula='cuo' cannot be read"),
        ({"formula": "CuSO4.5 H2O"}, "formula='CuSO4.5 H2O' cannot be read"),  # five waters, or half an oxygen?
        ({"formula": "CuO3 2 CrO3"}, "formula='CuO3 2 CrO3' cannot be read"),
        ({"formula": "CuXx"}, "formula='CuXx' cannot be read"),
        ({"formula": "Cu0"}, "formula='Cu0' cannot be read"),
        ({"formula": "("}, "cannot be read"),
        ({"formula": "(" * 5000}, "cannot be read"),
        ({"formula": "Cu" + "9" * 400}, "cannot be read"),
        ({"elements": "Cu 8"}, r"elements='Cu 8' cannot be read: write them as in elements='Na Cr O'\.$"),
        ({"elements": ""}, "elements='' cannot be read"),
        ({"formula": "Na2CrO4"}, "has no Cu, the absorber of .*: correct one of the two"),
        ({"elements": "Na Cr O"}, "has no Cu, the absorber"),
        ({"formula": "CuO", "elements": "Cu O"}, "both given: pass one"),
        ({"formula": 5}, "formula=5 must be a text such as"),
        ({"elements": ["Cu"]}, "elements=.* must be a text such as"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_the_group_is_left_alone(measured, said, reason):
    group = measured()
    before = contents(group)
    with pytest.raises(errors.CNPredictError, match=reason) as caught:
        predict_cn(group, **said)
    assert len(str(caught.value)) < 200
    assert contents(group) == before


def test_periods_and_groups_are_those_of_the_table():
    places = composition._places()
    for z in range(1, 119):
        element = Element.from_Z(z)
        assert tuple(places[z]) == (element.row, element.group, z), element.symbol
        assert composition.is_transition_metal(element.symbol) == (3 <= element.group <= 12)


def test_what_the_models_read_by_hand():
    (x,) = composition.inputs([{"Na": 2.0, "Cr": 1.0, "O": 4.0}], ["Cr"])
    assert x[[7, 10, 23]] == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert x[:118].sum() == pytest.approx(1)
    assert (x[118:128].argmax(), x[118:128].sum()) == (3, 1)  # Cr is the fourth of the absorbers
    assert x[128] == pytest.approx(1 / 7)
    assert x[129] == pytest.approx((2 * 3 + 4 + 4 * 2) / 7)  # the mean period
    z = np.repeat([11, 24, 8], [2, 1, 4])
    assert x[[131, 134]] == pytest.approx([z.mean(), z.std()])
    np.testing.assert_array_equal(x[135:], [4, 16, 24, 2, 1, 8, 3])  # highest, lowest, and how many


@pytest.mark.parametrize(("said", "text"), [({"formula": "CuO"}, "CuO"), ({"elements": "Cu O"}, "Cu O")])
def test_the_answer_says_its_share(measured, said, text):
    alone, answer = predict_cn(measured("CuO"), formula=""), predict_cn(group := measured("CuO"), **said)
    assert answer.composition == text
    assert answer.spectrum_probabilities == pytest.approx(alone.probabilities)
    assert np.abs(np.subtract(answer.probabilities, alone.probabilities)).max() > 0.01
    assert f"with the composition {text}; without it: CN {alone.cn} (p = {alone.p:.2f})" in answer.notes
    assert (alone.composition, alone.spectrum_probabilities) == ("", [])
    assert Prediction.from_group(group.cn_predict).request == answer.request
    assert not is_stale(group)
    group.cn_predict.request["formula"] = "CuS"
    group.cn_predict.request["elements"] = None
    assert is_stale(group)


def test_a_foil_that_is_called_an_oxide_is_in_doubt(measured):
    assert predict_cn(measured(), formula="Cu").in_domain
    answer = predict_cn(measured(), formula="Cu3(PO4)2(H2O)3")
    assert not answer.in_domain
    assert "the spectrum contradicts the composition Cu3(PO4)2(H2O)3" in answer.reason


def test_many_at_once_each_with_its_own(measured, tmp_path):
    plain, told = measured("CuO"), measured("CuO")
    told.attrs = {"sample": {"stoichiometry": "CuO"}}
    first, second = predict_cn([plain, told])
    assert first.probabilities == pytest.approx(predict_cn(measured("CuO")).probabilities, abs=1e-6)
    assert second.probabilities == pytest.approx(predict_cn(measured("CuO"), formula="CuO").probabilities, abs=1e-6)


@pytest.mark.parametrize(("said", "used"), [("Cu O", "Cu O"), ("ZnO", ""), ("unknown", "")])
def test_the_formula_of_an_xdi_header(tmp_path, said, used):
    text = XDI.read_text().replace("# Sample.name: CuO\n", f"# Sample.name: CuO\n# Sample.stoichiometry: {said}\n")
    path = tmp_path / "named.xdi"
    path.write_text(text)
    group = read_xdi(str(path))
    group.mu = group.mutrans
    answer = predict_cn(process(group))
    assert answer.composition == used
    assert any("Sample.stoichiometry was not used" in note for note in answer.notes) == (not used)
    assert predict_cn(group, formula="").composition == ""


def test_on_the_command_line(tmp_path):
    (row,), _ = predict_files([XDI], formula="CuO")
    assert "with the composition CuO" in row["notes"]
    (row,), _ = predict_files([XDI], elements="Zn O")
    assert "has no Cu" in row["notes"]
    assert "cn" not in row


def test_every_number_has_its_larger_set(measured):
    answer = predict_cn(measured("CuO"))
    assert set(answer.cn_set_each) - {answer.cn}
    assert answer.cn in answer.cn_set_each
