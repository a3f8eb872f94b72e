"""From an answer on: the first shell in the FEFF Fitting tab of the real Larix, a known site in its CIF browser."""

import re

import pytest


@pytest.mark.feff
def test_the_first_shell_is_ready_to_fit(shared, project):
    seen = shared("next_step", path=project)
    assert seen["page"] == "FeffitPanel"
    assert seen["title"].startswith("Cu_O1")
    assert seen["amplitude"] == "N_O * s02"
    assert seen["formula"] == "CuO"  # as it stood on the tab, where nothing had been asked before
    assert seen["start"] == pytest.approx(seen["mean"])
    assert seen["bounds"][0] < seen["fitted"]["N_O"] < seen["bounds"][1]
    assert seen["distance"] == pytest.approx(1.955, abs=0.04)
    assert (seen["kmin"], seen["kmax"], seen["window"]) == (3, 12, "Hanning")
    assert 1.9 < seen["rmax"] < 2.2
    assert seen["rfactor"] < 0.15  # 0.23 with the ranges that the tab had
    assert "O at 1.9" in seen["message"]
    assert seen["file"]
    assert seen["s02_again"] == 0.7  # what the user has set is kept


def test_the_structure_of_a_known_site(shared, athena, raw):
    seen = shared("structures", path=athena(raw("Cu_foil")))
    assert "no nearest known site" in seen["too early"]
    site, formula, *_ = seen["strange"]
    assert seen["copied"] == site.split()[0]
    assert seen["said"] == f"Larix's CIF browser has no {formula}: copied {seen['copied']} (Materials Project)"
    copied, said = seen["complex"]
    assert (copied, "has no structure" in said) == (seen["copied"], True)  # it is in no database
    assert not seen["opened"]
    assert seen["shown"].startswith("Cu: Copper")
    assert "Copper" in seen["cif"]
    assert re.search(r"^ *0 +29 +Cu", seen["feff"], re.M)  # the absorber among FEFF's potentials
    assert seen["shown"] in seen["message"]
    assert seen["again"]
