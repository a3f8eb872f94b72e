"""What the sample is made of, as it stands at Formula in the real Larix."""

import shutil
from pathlib import Path

import pytest
from larch import Group

from larch_cnpredict.composition import header_formula
from larch_cnpredict.larix.asked import composition_asked

XDI = Path(__file__).parents[3] / "examples" / "CuO_liquid_nitrogen.xdi"


@pytest.mark.parametrize(
    ("text", "in_header", "asked"),
    [
        ("", "", {}),
        ("CuO", "", {"formula": "CuO"}),
        ("Cu", "", {"formula": "Cu"}),
        (" Cu O ", "", {"elements": "Cu O"}),
        ("Na,Cr, O", "", {"elements": "Na,Cr, O"}),
        ("CuSO4.5H2O", "", {"formula": "CuSO4.5H2O"}),
        ("(NH4)2 Fe (SO4)2", "", {"formula": "(NH4)2 Fe (SO4)2"}),
        ("rust", "", {"formula": "rust"}),
        ("CuO", "CuO", {}),
        ("Cu2O", "CuO", {"formula": "Cu2O"}),
        ("", "CuO", {"formula": ""}),
    ],
)
def test_what_is_asked(text, in_header, asked):
    assert composition_asked(text, in_header) == asked


@pytest.mark.parametrize(
    "attrs",
    [None, {}, {"sample": "CuO"}, {"sample": {}}, Group(sample={"stoichiometry": "CuO"})],
    ids=["none", "empty", "text", "nothing said", "not as a dict"],
)
def test_header_without_a_formula(attrs):
    assert header_formula(Group(attrs=attrs)) == ""


def test_formulas_on_the_tab(shared, project, tmp_path):
    xdi, session = tmp_path / "with_header.xdi", tmp_path / "formulas.larix"
    shutil.copy(XDI, xdi)
    xdi.write_text(xdi.read_text().replace("# Sample.name: CuO", "# Sample.name: CuO\n# Sample.stoichiometry: CuO"))
    seen = shared("formulas", path=project, xdi=xdi, session=session)
    formula, elements, other, foil, strange = seen["said"]
    assert "with the composition CuO; without it: CN 4" in formula["details"]
    assert "with the composition Cu, O; without it: CN 4" in elements["details"]
    assert "the spectrum contradicts the composition CuS" in foil["details"]
    assert "says CN 12" in foil["details"]
    assert "Outside what the models know" in foil["status"]
    assert other["status"] == "Formula 'Na2CrO4' has no Cu, the absorber: correct Formula or Absorber."
    assert strange["status"] == "Formula 'rust' cannot be read: write it like Na2CrO4, or only the elements: Na Cr O."
    assert seen["kept"] == ["Na2CrO4", "CuS", "rust"]
    assert seen["copied"] == ["Na2CrO4", "Ni Cu", "Ni Cu"]
    for command in (", formula='CuO')", ", elements='Cu, O')", ", formula='CuS')"):
        assert command in seen["buffer"]

    assert seen["header"] == "CuO"
    assert "with the composition CuO" in seen["by header"]
    assert "composition" not in seen["without"]
    assert ", formula='')" in seen["buffer"]
    kept = dict(zip(seen["names"], seen["copied"], strict=True)) | {seen["with header"]: ""}
    assert shared("formulas_kept", path=session) == kept


@pytest.mark.feff
def test_s02_of_a_foil_on_the_tab(shared, athena, raw):
    seen = shared("foil_s02", path=athena(raw("Cu_foil"), raw("CuO")), foil="Cu_foil", oxide="CuO")
    s02, message = seen["taken"]
    assert float(s02) == pytest.approx(0.92, abs=0.06)
    assert message == f"Cu_foil: s02 = {s02}. Check the samples, then press Copy beside it"
    assert seen["copied"] == [f"s02 {s02}: copied to 2 groups", s02, s02]
    assert seen["asked"] == [float(s02)] * 2
    assert f"with s02 = {s02}; with nothing told beside the spectrum: mean 1" in seen["details"]
    assert f", reference={float(s02)!r}" in seen["buffer"]
    kept, refused = seen["no foil"]
    assert kept == s02
    assert "so it is no thin foil of that metal" in refused
