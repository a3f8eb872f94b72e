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
    again = seen["again"]
    assert again["titles"] == [seen["title"]]  # once, also where it is asked for twice
    assert again["params"]["s02"][0] == 0.7  # what the user has set is kept
    assert again["params"]["N_O"][2] == 7
    assert again["params"]["mine"][0] == 3


@pytest.mark.feff
def test_the_first_shell_of_another_group(shared, athena, raw, tmp_path):
    short = raw("CuO", label="short")
    inside = short.energy < short.e0 + 430
    short.energy, short.mu = short.energy[inside], short.mu[inside]
    seen = shared("next_shells", path=athena(raw("CuO"), short), folder=tmp_path)
    first, other, back = seen["shells"]
    for shell, mean in zip(seen["shells"], seen["means"], strict=True):
        assert len(shell["titles"]) == 1
        assert shell["params"]["N_O"][0] == pytest.approx(mean)
        assert shell["params"]["N_O"][3]
    assert seen["means"][0] != pytest.approx(seen["means"][1])
    assert first["params"]["N_O"][1:] != other["params"]["N_O"][1:]
    assert back["params"]["N_O"] == first["params"]["N_O"]
    assert other["params"]["s02"][0] == 0.7  # which is the user's
    assert first["ranges"]["kmax"] == back["ranges"]["kmax"] == 12
    assert other["ranges"]["kmax"] < 11
    assert ["in place of" in text for text in seen["said"]] == [False, True, True]
    assert "in place of the shell of CuO;" in seen["said"][1]
    for paths, varied, rfactor in seen["fitted"]:
        assert list(paths.values()) == [True]
        assert sorted(varied) == ["N_O", "delr_O", "e0", "sigma2_O"]
        assert rfactor < 0.2

    beside = seen["beside it"]
    assert len(beside["titles"]) == 2
    assert seen["own"] in beside["titles"]
    assert beside["params"]["mine"][0] == 0.1
    assert beside["ranges"]["rmax"] == 3.5


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
