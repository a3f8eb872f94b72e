"""Finished models are asked about what nothing in them has learnt from, and about nothing else."""

import json
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build_models import config
from build_models.data import structures
from build_models.learn import samples
from build_models.report import confirm
from build_models.report.confirm import Answers, Asked
from larch_cnpredict.models import Models, default_folder
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, HEADS, ONE, SEVERAL
from larch_cnpredict.uncertainty import most
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
    return Answers(Asked({}, np.full(n, "Fe"), true, np.full(n, kind), np.arange(n) % 5), share, says)


PLAIN = {"odds": {"Fe": 1.0}, "levels": {kind: {"Fe": 0.9} for kind in KINDS}, "power": 1.0}
UNSEEN = dict.fromkeys(range(5), PLAIN)


def test_misled_is_who_gets_one_wrong_number_that_nothing_speaks_against():
    """`phase` is sure of all; every other number is one too many, every third is not what the other networks find."""
    i = np.arange(60)
    number, agree = 6 + i % 2, i % 3 > 0
    mixed = said(number, np.full(60, 6.4), agree=agree, kind=SEVERAL)
    mixed.asked.kind[::10] = ONE
    several = mixed.asked.kind == SEVERAL
    found = confirm.of_samples(mixed, UNSEEN)
    assert {name: one["samples"] for name, one in found.items()} == {"all": 60, KINDS[ONE]: 6, KINDS[SEVERAL]: 54}
    found = found[KINDS[SEVERAL]]
    assert found["misled_alone"] == pytest.approx((i % 2)[several].mean())
    assert found["misled_said"] == pytest.approx((i % 2 & agree)[several].mean())
    mixed.says[:, len(GRID) + ONE], mixed.says[:, len(GRID) + SEVERAL] = 0.4, 0.6
    assert confirm.of_samples(mixed, UNSEEN)["all"]["misled_alone"] == 0  # all are said to be several


def test_samples_are_described_with_what_is_fitted_to_other_folds():
    mixed = said(np.full(10, 6), np.full(10, 6.0))
    mixed.says[:, len(GRID) + ONE], mixed.says[:, len(GRID) + SEVERAL] = 0.4, 0.6
    fitted = UNSEEN | {3: UNSEEN[3] | {"odds": {"Fe": 0.1}}, 4: UNSEEN[4] | {"power": 0.5}}
    assert (mixed.described(fitted)[0] == ONE).tolist() == [i % 5 == 3 for i in range(10)]
    mixed = said(np.full(10, 6), np.full(10, 6.0), agree=False)
    mixed.says[:, :2] = 0.5  # half of it a mean of 1, ...
    mixed.says[:, np.searchsorted(GRID, 6)] = 0.5  # ... and half of it 6
    np.testing.assert_allclose(mixed.said(fitted).max(1)[:5], [0.45] * 4 + [0.45**0.5], atol=1e-4)


def test_few_are_said_to_be_several_and_few_mislead():
    """Of crystals the networks say several with up to 0.6, of foils with up to 0.9; a tenth of mixtures is misread."""
    rng, n = np.random.default_rng(0), 1000
    sites, foils = (said(np.full(n, 6), np.full(n, 6.0)) for _ in range(2))
    for one, highest in ((sites, 0.6), (foils, 0.9)):
        several = rng.uniform(0, highest, n)
        one.says[:, len(GRID) :] = np.column_stack([1 - several, several, 0 * several])
    mixed = said(np.where(np.arange(n) % 10, 6, 8), np.full(n, 6.0), kind=SEVERAL)
    mixed.says[:, : len(GRID)] = 0
    share = rng.uniform(0, 1, n)  # of the mean near the number; the rest at 16
    mixed.says[np.arange(n), (mixed.number - 1) * 4], mixed.says[:, len(GRID) - 1] = share, 1 - share
    answers = {"sites": sites, "foils": foils, "samples": mixed}
    fitted = confirm.fit(answers, {"levels": "kept"}, confirm.NONE)
    assert fitted["levels"] == "kept"
    several = np.concatenate([one.says[:, len(GRID) + SEVERAL] for one in (sites, foils)])
    alarm = several * fitted["odds"]["Fe"] / (several * fitted["odds"]["Fe"] + 1 - several) >= 0.5
    assert alarm.mean() == pytest.approx(samples.FALSE_ALARMS, abs=0.002)
    misread = (mixed.number == 8) & (most(mixed.p.max(1), mixed.near, fitted["power"]) >= 0.8)
    assert misread.sum() == pytest.approx(confirm.MISLED * n, abs=3)
    assert misread.sum() <= confirm.MISLED * n
    mixed.asked.fold[:] = 3
    assert confirm.fit(answers, {}, 3)["power"] == confirm.POWERS[0]  # no mixture is left that could mislead
    never = {**answers, "samples": said(np.full(n, 8), np.full(n, 6.0), kind=SEVERAL)}
    assert confirm.fit(never, {}, confirm.NONE)["power"] == 1  # as low as it goes


def test_imperfect_crystals_are_scored_by_what_they_are():
    """All vacancies right, sure and said so; complexes sure and wrong, and the networks of samples say otherwise."""
    perfect = synthetic.dataset(40)
    names = [f"mp-{i} dopant at 0 vacancy site 0" for i in range(8)] + [f"complex Fe {i} site 0" for i in range(4)]
    imperfect = replace(perfect.take(np.arange(0, 24, 2)), sites=np.array(names))
    number = np.where(np.arange(12) < 8, imperfect.cn, 3)
    answers = said(number, imperfect.cn, agree=np.arange(12) < 8)
    found = confirm.of_defects(answers, imperfect, perfect, UNSEEN)
    assert list(found) == ["beside a vacancy", "complexes"]
    vacancies, complexes = found.values()
    assert (vacancies["alone"]["sites"], vacancies["alone"]["accuracy"], vacancies["said"]["sure"]) == (8, 1, 1)
    assert (complexes["alone"]["sure"], complexes["alone"]["right"], complexes["said"]["sure"]) == (1, 0, 0)
    commonest = np.bincount(perfect.cn[perfect.elements == "Fe"]).argmax()
    assert complexes["majority"] == (imperfect.cn[8:] == commonest).mean()
    never_met = replace(imperfect, elements=np.full(12, "Zn"))  # of which there is no perfect crystal
    assert confirm.of_defects(answers, never_met, perfect, UNSEEN)["complexes"]["majority"] == 0


def test_sites_by_hand():
    """Three of four numbers right; every set holds one number, or 16 too, where there are so many of these."""
    data = replace(synthetic.dataset(4), elements=np.full(4, "Fe"), cn=np.array([6, 6, 4, 6]), weight=np.ones(4))
    sites = said(np.array([6, 6, 4, 12]), data.cn, agree=np.array([True, True, False, True]))
    family = {"thresholds": {"Fe": 1.0}, "prior": [0.25] * 15 + [0.00001]}
    models = SimpleNamespace(manifest={"default": {"complex": "phase"}}, calibration={"phase": family})
    found = confirm.of_sites(models, "complex", sites, data, UNSEEN)
    assert (found["sites"]["accuracy"], found["sites"]["coverage"], found["sites"]["set_size"]) == (0.75, 0.75, 2)
    assert found["majority"]["accuracy"] == 0.75
    assert (found["alone"]["sure"], found["said"]["sure"]) == (1, 0.75)


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


def test_finished_models_are_asked_and_their_card_says_so(tmp_path, spectra_table, known):
    train = {"keep": str(default_folder()), "tables": [str(spectra_table)], "structures": [known], "folds": 2}
    settings = {"run": {"out": str(tmp_path)}, "train": train | {"version": "mine", "models": str(tmp_path)}}
    confirm.run(config.load(None, settings))
    metrics, manifest = (json.loads((tmp_path / f"mine/{name}.json").read_text()) for name in ("metrics", "manifest"))
    assert metrics["confirmed"]["sites"] == 4  # of five crystals; both sites of magnetite are of a known type
    assert metrics["confirmed"]["complex"]["sites"]["accuracy"] >= 0.75  # copper, iron, nickel oxide and rutile
    assert (manifest["version"], manifest["confirmed"]["spectra"][0]["rows"]) == ("mine", 6)
    card = (tmp_path / "mine/README.md").read_text()
    assert "Materials that nothing has learnt from\n4 sites of 4 formulas" in card
    finished, mine = (
        {p.name: p.read_bytes() for p in folder.iterdir()} for folder in (default_folder(), tmp_path / "mine")
    )
    assert {name for name in mine if mine[name] != finished[name]} == {"metrics.json", "manifest.json", "README.md"}
    assert Models(tmp_path / "mine").version == "mine"
    with pytest.raises(config.ConfigError, match="calibrated anew, these models need one of their own"):
        confirm.run(config.load(None, {"train": train | {"version": default_folder().name}}))


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
    assert (len(foils.number), set(foils.number), set(foils.kind), set(foils.fold)) == (120, {12}, {ONE}, {0, 1})
    for reads, size in (("magnitude", 178), ("complex", 1514)):
        assert {one.inputs[reads].shape[1] for one in asked.values()} == {size}
