"""Finished models are asked about what nothing in them has learnt from, and about nothing else."""

import json
import shutil
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build_models import config
from build_models.data import structures
from build_models.learn import samples
from build_models.report import card, confirm
from build_models.report.confirm import Answers, Spectra
from build_models.report.samples import described
from build_models.spectra import dataset
from larch_cnpredict.models import Models, default_folder
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, HEADS, ONE, SEVERAL
from tests.build_models import synthetic
from tests.build_models.crystals import crystals


def said(
    number: np.ndarray, true: np.ndarray, p: float = 0.9, agree: np.ndarray | bool = True, kind: int = ONE
) -> Answers:
    """Answers that are sure of a number; the networks of samples find the mean there, or far off."""
    n = len(number)
    share = np.full((n, 16), 0.1 / 15)
    share[np.arange(n), number - 1] = 0.9
    says = np.zeros((n, sum(HEADS)))
    says[np.arange(n), np.where(agree, (number - 1) * 4, 0)] = 1
    says[:, len(GRID) + ONE] = 1
    return Answers(Spectra({}, np.full(n, "Fe"), true, np.full(n, kind), np.arange(n) % 5), share, says)


PROVENANCE = {"sha256": "0" * 64, "rows": 1, "program": "FEFF"}
PLAIN = {"odds": {"Fe": 1.0}, "levels": {kind: {"Fe": 0.9} for kind in KINDS}}
UNSEEN = dict.fromkeys(range(5), PLAIN)


def test_misled_is_who_gets_one_wrong_number_that_nothing_speaks_against():
    """`phase` is sure of all; every other number is one too many, every third is not what the other networks find."""
    i = np.arange(60)
    number, agree = 6 + i % 2, i % 3 > 0
    mixed = said(number, np.full(60, 6.4), agree=agree, kind=SEVERAL)
    mixed.asked.kind[::10] = ONE
    several = mixed.asked.kind == SEVERAL
    found = confirm.of_samples(mixed, UNSEEN, PLAIN, often=0.91)
    counts = {"all": 60, KINDS[ONE]: 6, KINDS[SEVERAL]: 54, f"said: {KINDS[ONE]}": 60}
    assert {name: one["samples"] for name, one in found.items()} == counts
    found = found[KINDS[SEVERAL]]
    assert found["misled_alone"] == pytest.approx((i % 2)[several].mean())
    assert found["misled_said"] == pytest.approx((i % 2 & agree)[several].mean())
    assert found["misled_as_often"] == 0  # nobody is as sure as that
    mixed.says[:, len(GRID) + ONE], mixed.says[:, len(GRID) + SEVERAL] = 0.4, 0.6
    found = confirm.of_samples(mixed, UNSEEN, PLAIN | {"odds": {"Fe": 0.1}}, often=0.9)["all"]
    assert (found["misled_alone"], found["misled_as_often"]) == (0, 0)  # all are said to be several
    assert (found["several"], found["several_before"]) == (1, 0)


def test_samples_are_described_with_what_is_fitted_to_other_folds():
    mixed = said(np.full(10, 6), np.full(10, 6.0))
    mixed.says[:, len(GRID) + ONE], mixed.says[:, len(GRID) + SEVERAL] = 0.4, 0.6
    fitted = UNSEEN | {3: PLAIN | {"odds": {"Fe": 0.1}}}
    found, _ = described(mixed.says, mixed.asked.elements, mixed.asked.fold, fitted)
    assert (found == ONE).tolist() == [i % 5 == 3 for i in range(10)]


def test_few_sites_and_foils_are_said_to_be_several():
    """Of crystals the networks say several with up to 0.6, of foils with up to 0.9; those of a fold with 0.99."""
    rng, n = np.random.default_rng(0), 1000
    sites, foils = (said(np.full(n, 6), np.full(n, 6.0)) for _ in range(2))
    for one, highest in ((sites, 0.6), (foils, 0.9)):
        several = np.where(one.asked.fold == 3, 0.99, rng.uniform(0, highest, n))
        one.says[:, len(GRID) :] = np.column_stack([1 - several, several, 0 * several])
    odds = confirm.odds({"sites": sites, "foils": foils}, without=3)["Fe"]
    several = np.concatenate([one.says[one.asked.fold != 3, len(GRID) + SEVERAL] for one in (sites, foils)])
    alarm = several * odds / (several * odds + 1 - several) >= 0.5
    assert alarm.mean() == pytest.approx(samples.FALSE_ALARMS, abs=0.002)
    assert confirm.odds({"sites": sites, "foils": foils}, confirm.NONE)["Fe"] < odds
    assert set(confirm.odds({"sites": sites}, confirm.NONE)) == {"Fe"}  # of others nothing is known


def test_imperfect_crystals_are_scored_by_what_they_are():
    """All vacancies right, sure and said so; complexes sure and wrong, and the networks of samples say otherwise."""
    perfect = synthetic.dataset(40)
    names = [f"mp-{i} dopant at 0 vacancy site 0" for i in range(8)] + [f"complex Fe {i} site 0" for i in range(4)]
    imperfect = replace(perfect.take(np.arange(0, 24, 2)), sites=np.array(names))
    number = np.where(np.arange(12) < 8, imperfect.cn, 3)
    answers = said(number, imperfect.cn, agree=np.arange(12) < 8)
    found = confirm.of_defects(answers, imperfect, perfect)
    assert list(found) == ["beside a vacancy", "complexes"]
    vacancies, complexes = found.values()
    assert (vacancies["alone"]["sites"], vacancies["alone"]["accuracy"], vacancies["said"]["sure"]) == (8, 1, 1)
    assert (complexes["alone"]["sure"], complexes["alone"]["right"], complexes["said"]["sure"]) == (1, 0, 0)
    commonest = np.bincount(perfect.cn[perfect.elements == "Fe"]).argmax()
    assert complexes["majority"] == (imperfect.cn[8:] == commonest).mean()
    never_met = replace(imperfect, elements=np.full(12, "Zn"))  # of which there is no perfect crystal
    assert confirm.of_defects(answers, never_met, perfect)["complexes"]["majority"] == 0


def test_sites_by_hand():
    """Three of five numbers right; every set holds one number and 16, which is so rare."""
    data = replace(synthetic.dataset(5), elements=np.full(5, "Fe"), cn=np.array([6, 6, 4, 6, 16]), weight=np.ones(5))
    sites = said(np.array([6, 6, 4, 12, 12]), data.cn, agree=np.array([True, True, False, True, True]))
    family = {"thresholds": {"Fe": 1.0}, "prior": [0.25] * 15 + [0.00001], "formula": {"weights": [0.0, 1.0, 0.0]}}
    family["each"] = [0.0] * 4 + [1.0] * 12  # 1 to 4 in any case, others where they are the most probable
    four = np.eye(16)[[3] * 5]
    models = SimpleNamespace(
        manifest={"default": {"complex": "phase"}}, calibration={"phase": family},
        probabilities=lambda kind, x: four if (kind, x.shape) == ("formula", (5, 142)) else None,
    )  # fmt: skip
    found = confirm.of_sites(models, "complex", sites, data)
    assert (found["sites"]["accuracy"], found["sites"]["coverage"], found["sites"]["set_size"]) == (0.6, 0.8, 2)
    assert (found["majority"]["accuracy"], found["composition"]["accuracy"]) == (0.6, 0.2)
    assert found["with formula"]["accuracy"] == 0.2  # with such weights the spectrum does not count
    held = {cn: (one["sites"], one["found"], one["coverage"], one["each"]) for cn, one in found["by_number"].items()}
    assert held == {"4": (1, 1, 1, 1), "6": (3, 2 / 3, 2 / 3, 2 / 3), "16": (1, 0, 1, 1)}  # "each" holds both
    assert (found["alone"]["sure"], found["said"]["sure"]) == (1, 0.8)


def test_what_has_a_known_formula_or_structure_type_is_left_out(tmp_path, data):
    """Nickel oxide is left out by its formula, magnetite by its structure type; the metals and rutile stay."""
    rock_salt, spinel = crystals()["mp-19009"].copy(), crystals()["mp-18748"].copy()
    rock_salt.translate_sites([0], [0, 0, 0.1])
    spinel.replace_species({"Fe": "Co", "O": "S"})
    rows = [structures.to_row("mp-1", rock_salt), structures.to_row("mp-2", spinel)]
    path = tmp_path / "known.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=structures.SCHEMA), path)
    left = {site.split()[0] for site in confirm.new(data, [path]).sites}
    assert left == {"mp-30", "mp-13", "mp-2657"}
    with pytest.raises(config.ConfigError, match="name the crystals that models may have learnt from"):
        confirm.new(data, [])


@pytest.fixture
def known(tmp_path):
    """A table of a crystal that models have learnt from: a spinel."""
    spinel = crystals()["mp-18748"].copy()
    spinel.replace_species({"Fe": "Co", "O": "S"})
    path = tmp_path / "known.parquet"
    pq.write_table(pa.Table.from_pylist([structures.to_row("mp-2", spinel)], schema=structures.SCHEMA), path)
    return str(path)


def test_finished_models_are_asked_and_their_card_says_so(tmp_path, spectra_table, known, monkeypatch):
    """Of five crystals four are of no known type; of these are two of three imperfect ones; copper is a foil too."""
    data = dataset.load([spectra_table])
    copper = np.flatnonzero(data.elements == "Cu")[0]
    bulk = {f.name: getattr(data, f.name)[copper] for f in fields(data) if f.name != "digest"}
    bulk |= {"shell": "Cu", "mean": 12.0, "particle": False, "prototypes": "fcc bulk", "sites": "Cu fcc bulk"}
    monkeypatch.setattr("build_models.spectra.samples.read_particles", lambda _: [bulk])
    monkeypatch.setattr(confirm.table, "provenance", lambda path: PROVENANCE | {"file": path.name})
    spoilt = tmp_path / "defects.parquet"
    sites = pq.read_table(spectra_table).to_pandas().iloc[[0, 1, 2]]
    names = ["mp-30 dopant at 0 vacancy", "mp-19009 dopant at 0", "mp-18748 dopant at 0 vacancy"]
    pa_table = pa.Table.from_pandas(sites.assign(material_id=names, site_index=0), preserve_index=False)
    pq.write_table(pa_table, spoilt)
    readme = tmp_path / "README.md"
    readme.write_text(f"{card.START}\n{card.END}\n")
    train = {"keep": str(default_folder()), "tables": [str(spectra_table)], "structures": [known], "folds": 2}
    train |= {"particles": ["metals.parquet"], "defects": [str(spoilt)], "readme": str(readme), "models": str(tmp_path)}
    monkeypatch.setattr(confirm, "odds", lambda answers, without: {"Cu": 0.01 if without == confirm.NONE else 0.02})
    confirm.run(config.load(None, {"run": {"out": str(tmp_path)}, "train": train | {"version": "mine"}}))
    metrics, manifest = (json.loads((tmp_path / f"mine/{name}.json").read_text()) for name in ("metrics", "manifest"))
    found = metrics["confirmed"]
    assert (found["sites"], found["models"]) == (4, finished_networks())
    assert found["complex"]["sites"]["accuracy"] >= 0.75  # copper, iron, nickel oxide and rutile
    assert found["complex"]["samples"]["foils"]["samples"] == confirm.FOILS
    assert {kind: one["said"]["sites"] for kind, one in found["complex"]["defects"].items()} == {
        "beside a vacancy": 1, "crystals with metals exchanged": 1,
    }  # fmt: skip
    before = Models(default_folder()).calibration["samples"]["complex"]
    after = manifest["calibration"]["samples"]["complex"]
    assert after == before | {"odds": before["odds"] | {"Cu": 0.01}}
    assert manifest["confirmed"]["learnt from"][0]["file"] == "known.parquet"
    text = (tmp_path / "mine/README.md").read_text()
    assert "Materials that nothing has learnt from\n4 sites of 4 formulas" in text
    assert "nothing here has learnt from**: of 4 sites of 4 structure types" in readme.read_text()
    same = {p.name for p in default_folder().iterdir() if p.read_bytes() == (tmp_path / "mine" / p.name).read_bytes()}
    assert {p.name for p in (tmp_path / "mine").iterdir()} - same == {"metrics.json", "manifest.json", "README.md"}
    assert Models(tmp_path / "mine").version == "mine"
    (tmp_path / "notes").mkdir()  # of somebody else: it stays
    with pytest.raises(config.BuildError, match=r"notes is there and holds no models"):
        confirm.run(config.load(None, {"train": train | {"version": "notes"}}))
    again = train | {"keep": str(tmp_path / "mine"), "version": "mine"}
    with pytest.raises(config.ConfigError, match="what is new needs a version of its own"):
        confirm.run(config.load(None, {"train": again}))


def finished_networks() -> str:
    """The version that the networks of what ships are of."""
    return json.loads((default_folder() / "metrics.json").read_text())["confirmed"]["models"]


def test_metals_are_mixed_and_asked_about_as_foils_alone(tmp_path, data, monkeypatch):
    """Of the samples that begin with a particle or a metal, those with the particle alone are asked about."""
    copper = np.flatnonzero(data.elements == "Cu")[0]
    site = {f.name: getattr(data, f.name)[copper] for f in fields(data) if f.name != "digest"}
    entries = [
        site
        | {"mean": mean, "cn": round(mean), "particle": mean < 12, "prototypes": kind, "sites": kind, "shell": "Cu"}
        for mean, kind in ((7.9, "fcc cuboctahedron"), (12.0, "fcc bulk"))
    ]
    monkeypatch.setattr("build_models.spectra.samples.read_particles", lambda _: entries)
    asked = confirm.spectra(config.load(None, {"train": {"particles": ["table"], "folds": 2}}), data, None, tmp_path)
    assert len(asked["sites"].number) == len(data)
    rows = asked["samples"].elements == "Cu"
    assert rows.sum() == 16 + 1  # draws of the particle, and the crystal
    assert (asked["samples"].kind[rows] != ONE).sum() >= 8
    foils = asked["foils"]
    assert (len(foils.number), set(foils.number), set(foils.kind)) == (confirm.FOILS, {12}, {ONE})
    assert set(foils.fold) == {0, 1}
    for reads, size in (("magnitude", 178), ("complex", 1514)):
        assert {one.inputs[reads].shape[1] for one in asked.values()} == {size}


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [("manifest.json", b'"format": 3', b'"format": 2', "has format 2"), ("by-formula.onnx", b"", b"x", "its hash")],
)
def test_models_that_are_none_of_this_version_are_said_before_the_work(tmp_path, file, old, new, said):
    folder = shutil.copytree(default_folder(), tmp_path / "kept")
    (folder / file).write_bytes((folder / file).read_bytes().replace(old, new, 1))
    settings = config.load(None, {"train": {"keep": str(folder), "version": "mine", "models": str(tmp_path)}})
    with pytest.raises(config.ConfigError, match=f"{file} .*{said}"):
        confirm.begin(settings)
