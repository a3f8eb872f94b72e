"""What stands on the tab, and whether an answer is to it, without wx."""

from dataclasses import asdict

import pytest
from larch import Group

from larch_cnpredict.larix import asked
from larch_cnpredict.predict import predict_cn
from larch_cnpredict.request import Request


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"formula": "CuO"}, {"formula": ""}, {"formula": " CuO "}, {"formula": "Cu O"}, {"elements": "Cu O"}),
        *({"elements": "cu o"}, {"elements": "copper oxygen"}, {"elements": "Cu"}, {"element": "Cu", "reference": 0.9}),
        {"one_site": True},
    ],
)
def test_what_a_command_asked_stands_on_the_tab(measured, options):
    group = measured("CuO")
    before = predict_cn(group, **options).request
    assert asked.unlike(group, before) == ""
    again = predict_cn(group, **asdict(asked.request(group, "default", "auto")))  # what stands there can be asked
    asked.keep(group, s02="0,8")
    assert asked.unlike(group, before) == asked.unlike(group, again.request) == "s02"


def test_what_is_unlike_is_named_as_on_the_tab():
    before = Request(element="Cu", formula="CuO", reference=0.9)
    assert asked.unlike(Group(), before) == "Absorber and Formula and s02"
    assert asked.unlike(Group(), Request(model="forest")) == ""
    header = Group(attrs={"sample": {"stoichiometry": "CuO"}})
    assert asked.unlike(header, Request(formula="CuO")) == asked.unlike(header, Request()) == ""
    assert asked.unlike(header, Request(formula="")) == "Formula"


@pytest.mark.parametrize(("text", "s02"), [("", None), (" 0.85", 0.85), ("0,85", 0.85), ("tifoil", "tifoil")])
def test_s02_as_it_is_typed(text, s02):
    assert asked.s02_asked(text) == s02
