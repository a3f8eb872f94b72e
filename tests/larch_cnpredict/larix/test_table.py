"""What the CN tab says, without wx."""

import csv
import io

import pytest
from larch import Group

from larch_cnpredict import errors
from larch_cnpredict.larix import table
from larch_cnpredict.predict import predict_cn


@pytest.fixture
def answer(measured):
    return predict_cn(measured("CuO"))


def rows(answer, **names):
    return [table.row(name, answer if text == "" else None, text) for name, text in names.items()]


def test_row_of_an_answer(answer):
    row = table.row("CuO", answer, "")
    assert (row["Group"], row["Absorber"], row["CN"]) == ("CuO", "Cu K", answer.cn)
    assert row["Mean"] == answer.mean_text
    assert row["verdict"] == answer.verdict
    assert row["csv"] == {"group": "CuO", **answer.row()}


def test_row_of_a_problem_has_no_number(answer):
    row = table.row("CuO", answer, "Stale")
    assert [row[column] for column in table.COLUMNS] == ["CuO", "", "", "", "", "", "Stale"]
    assert row["csv"] == {"group": "CuO", "notes": "Stale"}


@pytest.mark.parametrize(
    ("unsorted", "expected"),
    [
        (["scan10", "scan2", "Scan1"], ["Scan1", "scan2", "scan10"]),
        (["b", "A", "10", "9"], ["9", "10", "A", "b"]),
        (["Å²3", "Å²20", ""], ["", "Å²3", "Å²20"]),
    ],
)
def test_names_are_in_the_order_of_people(unsorted, expected):
    assert sorted(unsorted, key=table.as_people_count) == expected


def test_rows_without_a_number_come_last_either_way(answer):
    made = rows(answer, a="", b="Not predicted yet", c="")
    for rising in (True, False):
        assert [row["Group"] for row in table.in_order(made, "CN", rising)][-1] == "b"
    assert [row["Group"] for row in table.in_order(made, "Group", False)] == ["c", "b", "a"]


def test_csv_runs_nothing_in_a_spreadsheet(answer):
    made = [row["csv"] for row in rows(answer, **{"=1+1": "", "-x": "bad", "fine": ""})]
    text = table.as_text(made, made[0], "excel")
    assert [row["group"] for row in csv.DictReader(io.StringIO(text))] == ["'=1+1", "'-x", "fine"]
    assert [row["cn"] for row in csv.DictReader(io.StringIO(text))] == [str(answer.cn), "", str(answer.cn)]


def failures(measured):
    """Errors as users of the tab meet them."""
    good = measured("CuO")
    k, chi, r, chir_mag = good.k, good.chi, good.r, good.chir_mag
    only_r = Group(filename="scan", r=r, chir_mag=chir_mag, energy=good.energy, e0=good.e0)
    yield Group(filename="scan", k=k, chi=chi, e0=14000.0), {}
    yield Group(filename="scan", k=k, chi=chi), {}
    yield Group(filename="scan", energy=good.energy, mu=good.mu, e0=good.e0), {"element": "Cu"}
    yield Group(filename="scan", element="Fe", k=k, chi=chi, e0=8979.0), {}
    yield only_r, {}
    yield only_r, {"transform": "training"}
    yield only_r, {"transform": "own", "model": "phase"}
    yield Group(filename="scan", k=k, chi=chi, e0=8979.0), {"transform": "own"}
    yield Group(filename="scan", k=k[:100], chi=chi[:100], e0=8979.0), {}
    yield Group(filename="scan", k=k, chi=chi, e0=8979.0), {"formula": "rust"}
    yield Group(filename="scan", k=k, chi=chi, e0=8979.0), {"elements": "Na Cr"}
    yield Group(filename="scan", k=k, chi=chi, e0=8979.0), {"reference": 7.0}


def test_errors_are_in_the_words_of_the_tab(measured):
    for group, options in failures(measured):
        with pytest.raises(errors.CNPredictError) as caught:
            predict_cn(group, **options)
        words = table.in_words_of_the_tab(str(caught.value), "'scan'")
        for python in (
            "predict_cn",
            "element=",
            "transform=",
            "model=",
            "autobk",
            "formula=",
            "elements=",
            "reference=",
        ):
            assert python not in words, words
        assert not words.startswith("'scan'")
