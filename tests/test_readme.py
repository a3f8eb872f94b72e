"""What README shows is run, as it stands there."""

import re

import pytest

import larch_cnpredict
from tests.helpers import EXAMPLES

README = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    (code,) = [code for code in re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S) if containing in code]
    return code


@pytest.fixture(autouse=True)
def _in_checkout(monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)


def test_the_larch_example(larch):
    larch_cnpredict.register(_larch=larch)
    for line in block("", "read_xdi").splitlines():
        larch.eval(line)
    assert [error.get_error() for error in larch.error] == []
    assert larch.symtable.cuo.cn_predict.element == "Cu"


def test_the_script(capsys):
    exec(block("python", "read_ascii"), {})
    assert capsys.readouterr().out.startswith("Cu K: CN ")


@pytest.mark.parametrize(("page", "stem"), [("README.md", "Cu_foil"), ("docs/index.md", "CuO")])
def test_the_answers_that_are_shown_are_the_answers(measured, page, stem):
    shown = re.findall(r"^Cu K: CN .*$", (EXAMPLES.parent / page).read_text(encoding="utf-8"), re.M)
    answers = [str(larch_cnpredict.predict_cn(measured(stem), one_site=told)) for told in (False, True)]
    assert shown == (answers if stem == "Cu_foil" else answers[:1])


def test_the_commands_are_those_of_the_setup_script():
    script = (EXAMPLES.parent / "setup.sh").read_text(encoding="utf-8")
    for command in re.findall(r"^\./setup\.sh (\w+)", README, re.M):
        assert f"\n    {command})" in script
