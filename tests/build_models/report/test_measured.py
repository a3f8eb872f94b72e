"""How measured spectra are scored, by hand; and the shipped models on compounds of known coordination."""

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from larch.xafs import autobk, pre_edge, xftf

from build_models.config import ConfigError
from build_models.report import measured
from larch_cnpredict import predict_cn
from larch_cnpredict.errors import UnexpectedError
from larch_cnpredict.models import default_folder
from tests.helpers import EXAMPLES

FOLDER = Path(__file__).parents[4] / "shared" / "measured"


@pytest.mark.shared
@pytest.mark.skipif(not FOLDER.exists(), reason=f"needs the measured spectra in {FOLDER}")
def test_measured_compounds():
    scores = measured.score(FOLDER, default_folder())
    assert set(scores) == set(measured.TRANSFORMS)
    for name, score in scores.items():
        assert score["always_commonest"] < 0.6, name
        assert score["exact"] >= 0.97, score["wrong"]
        assert score["balanced"] >= 0.95, score["wrong"]
        assert score["confident_wrong"] == 0, score["wrong"]
        assert score["within1"] >= 0.90, (name, score["wrong"])
        assert score["in_set"] >= 0.90, name
        assert score["mixed"] <= 0.7, name
        assert score["flagged"] <= 0.05, name


@pytest.mark.shared
@pytest.mark.skipif(not FOLDER.exists(), reason=f"needs the measured spectra in {FOLDER}")
@pytest.mark.parametrize(
    ("shift", "rbkg"), [(-30, 1), (-10, 1), (-5, 1), (5, 1), (10, 1), (30, 1), (0, 0.7), (0, 0.8), (0, 1.2)]
)
def test_measured_compounds_with_e0_and_rbkg_as_people_have_them(shift, rbkg):
    rows = [row for row in measured._index(FOLDER) if row["cn_kind"] == "int"]
    groups = [measured._read(FOLDER, row) for row in rows]
    for group in groups:
        pre_edge(group)
        pre_edge(group, e0=group.e0 + shift)
        autobk(group, rbkg=rbkg, kweight=2)
        xftf(group, **measured.TRANSFORMS["common"])
    score = measured.summarise(rows, predict_cn(groups))
    assert score["exact"] >= 0.94, score["wrong"]
    assert score["confident_wrong"] <= 1, score["wrong"]


def said(cn, cn_set=(), p=0.5, mean=0.0, in_domain=True, kind="one site", interval=(3.0, 9.0), verdict="ok"):
    told = {"cn": cn, "cn_set": [*cn_set], "p": p, "cn_mean": mean, "in_domain": in_domain, "kind": kind}
    return SimpleNamespace(**told, interval=interval, verdict=verdict, mean_text=f"{mean:.1f}")


def test_figures_by_hand():
    rows = [
        {"element": "Fe", "structure_key": key, "cn": cn, "cn_kind": kind}
        for key, cn, kind in (
            ("Fe2O3", "6", "int"),  # two scans: one right
            ("Fe2O3", "6", "int"),
            ("FeS2", "6", "int"),
            ("FePO4", "4", "int"),
            ("FeCl4", "4", "int"),  # refused
            ("Fe3O4", "5.33", "mixed"),
            ("FeFe2O4", "5.33", "mixed"),  # refused: no figure of the others' mean
            ("Fe3O4", "5.33", "mixed"),  # refused too
            ("Fe", "8", "ambig"),
        )
    ]
    answers = [
        said(6, (6,), p=0.9, kind="several sites or phases"),  # right, though no one number is what it says
        said(4, (4, 6), p=0.9),  # wrong and sure of it
        said(6, (6,), p=0.95, in_domain=False, verdict="outside"),  # right, but says that it does not know
        said(5, (5,), p=0.3, mean=5.5, interval=(5.0, 6.0)),
        None,
        said(6, (4, 6), mean=5.0),
        None,
        None,
        said(8, (8,), mean=9.5),
    ]
    found = measured.summarise(rows, answers)
    assert found["compounds"] == 4
    assert found["exact"] == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert found["balanced"] == pytest.approx(((0.5 + 1) / 2 + 0) / 2)
    assert found["within1"] == pytest.approx((0.5 + 1 + 1 + 0) / 4)
    assert found["in_set"] == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert (found["confident"], found["confident_wrong"]) == (2, 1)
    assert found["several"] == pytest.approx(0.5 / 4)
    assert found["mixed"] == pytest.approx(0.33)
    assert found["ambig"] == pytest.approx(1.5)
    assert found["flagged"] == pytest.approx(4 / 9)
    assert (found["commonest"], found["always_commonest"], found["spectra"]) == (4, 0.5, 9)
    assert (found["known"], found["verdicts"]) == (5, {"ok": 3, "outside": 2})
    assert found["int"] == pytest.approx((6 + 6 + 1.5) / 3)  # FePO4 the last
    assert found["missed"] == [{"compound": "Fe FePO4", "truth": 4, "mean": "5.5"}]
    assert found["wrong"] == {
        "Fe Fe2O3": {"truth": 6, "predicted": [4]},
        "Fe FePO4": {"truth": 4, "predicted": [5]},
        "Fe FeCl4": {"truth": 4, "predicted": [None]},
    }


def test_spectra_go_the_way_of_a_user(tmp_path):
    path = EXAMPLES / "Cu_foil_liquid_nitrogen.dat"
    shutil.copy(path, tmp_path)
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "element", "sample", "structure_key", "cn", "cn_kind"])
        writer.writerow([path.name, "Cu", "Cu", "Cu", 12, "int"])
    scores = measured.score(tmp_path, default_folder())
    assert {name: score["exact"] for name, score in scores.items()} == dict.fromkeys(measured.TRANSFORMS, 1.0)
    assert measured.formulas(tmp_path) == ["Cu"]
    index = (tmp_path / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(index.replace(",Cu,Cu,Cu,", ",Cu,foil,Cu,"))
    with pytest.raises(ConfigError, match=r"index\.csv: a sample is not named by its formula"):
        measured.formulas(tmp_path)


@pytest.mark.parametrize("read", [measured.score, measured.mixtures])
def test_a_fault_of_the_program_is_no_refusal(tmp_path, monkeypatch, read):
    foil = EXAMPLES / "Cu_foil_liquid_nitrogen.dat"
    rows = f"{foil},Cu,Cu,a,12,int\n{foil},Cu,Cu,b,4,int\n"
    (tmp_path / "index.csv").write_text("file,element,sample,structure_key,cn,cn_kind\n" + rows)

    def broken(*given, **asked):
        raise UnexpectedError("it", "KeyError", "'shell_counts'")

    monkeypatch.setattr(measured, "predict_cn", broken)
    with pytest.raises(UnexpectedError):
        read(tmp_path, default_folder())


def test_measured_mixtures_are_read_in_their_shares(tmp_path):
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "element", "sample", "structure_key", "cn", "cn_kind"])
        for stem, compound, cn in (("CuO_liquid_nitrogen.xdi", "CuO", 4), ("Cu_foil_liquid_nitrogen.dat", "Cu", 12)):
            columns = np.loadtxt(EXAMPLES / stem)
            np.savetxt(tmp_path / f"{compound}.dat", columns[:, [0, -1 if compound == "Cu" else 1]])
            writer.writerow([f"{compound}.dat", "Cu", compound, compound, cn, "int"])
    scored = measured.mixtures(tmp_path, default_folder())
    assert {name: values["spectra"] for name, values in scored.items()} == {"pure": 2, "50:50": 1, "mixed": 5}
    assert scored["pure"]["off"] < 1
    assert scored["mixed"]["off"] < 2
    assert scored["mixed"]["said"] > scored["pure"]["said"]
    index = (tmp_path / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(index.replace(",Cu,Cu", ",Mo,Cu"))  # of which the models know nothing
    assert measured.mixtures(tmp_path, default_folder()) == {}


def test_a_file_that_is_no_spectrum_is_refused_and_said(tmp_path, capsys):
    foil = EXAMPLES / "Cu_foil_liquid_nitrogen.dat"
    np.savetxt(tmp_path / "short.dat", np.column_stack([np.arange(8900.0, 8920), np.linspace(0, 1, 20)]))
    (tmp_path / "words.dat").write_text("no numbers\n")
    rows = [f"{foil},Cu,Cu,Cu,12,int", "short.dat,Cu,CuO,CuO,4,int", "words.dat,Cu,Cu2O,Cu2O,2,int"]
    (tmp_path / "index.csv").write_text("\n".join(["file,element,sample,structure_key,cn,cn_kind", *rows]))
    found = measured.score(tmp_path, default_folder())["common"]
    assert (found["exact"], found["spectra"], found["flagged"]) == (pytest.approx(1 / 3), 3, pytest.approx(2 / 3))
    assert [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()] == ["short.dat", "words.dat"]
    assert measured.mixtures(tmp_path, default_folder()) == {}
    (tmp_path / "index.csv").write_text("\n".join(["file,element,sample,structure_key,cn,cn_kind", *rows[:1]])[:-3])
    with pytest.raises(ConfigError, match=r"index\.csv has no spectrum of one number \(cn_kind 'int'\)"):
        measured.score(tmp_path, default_folder())
