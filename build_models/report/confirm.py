"""Stage `confirm`: finished models, as they ship, held against materials that nothing in them has learnt from.

Cross-validation asks other networks than those that ship, and each kind of network by itself. Here it is both kinds
together that answer: by these materials, and by foils, it is decided from when on a sample is said to be several, and
how far p is lowered; and how right answers are, and how sure, stands on the card.
"""

import datetime
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from pymatgen.core import Composition

from build_models.config import Config, ConfigError
from build_models.data import defects, labels, structures, table
from build_models.data.particles import BULK
from build_models.learn import samples
from build_models.report import card, evaluate, measured, scores
from build_models.report.samples import described
from build_models.spectra import copies, dataset
from build_models.spectra.augment import Augmentation
from build_models.spectra.copies import Copies
from build_models.spectra.dataset import CLASSES, Dataset
from build_models.spectra.samples import Anchors, in_the_beam
from build_models.spectra.samples import make as make_samples
from larch_cnpredict.domain import SURE
from larch_cnpredict.models import Models
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, ONE, SEVERAL, TOLD, kinds, near
from larch_cnpredict.uncertainty import most, prediction_set, temper, with_sample

MISLED = 0.02  # of mixtures: one number, p of 0.8 or more, off by more than 0.5, and not said to be several
POWERS = np.arange(0.3, 1.005, 0.01)  # of `uncertainty.most`
NONE = -1  # a fold without rows

Fitted = dict[int, dict[str, Any]]  # the calibration of the networks of samples, by the fold that it has not seen


@dataclass(frozen=True)
class Asked:
    """Spectra that the models are asked about, and what is true of them."""

    inputs: dict[str, np.ndarray]  # by what models read
    elements: np.ndarray  # absorbers
    number: np.ndarray  # of several sites the mean
    kind: np.ndarray  # index into `KINDS`
    fold: np.ndarray


@dataclass(frozen=True)
class Answers:
    """What the models say of them, with nothing told."""

    asked: Asked
    p: np.ndarray  # (n, 16), of the default family at its temperature
    says: np.ndarray  # (n, 64), of the networks of samples

    @classmethod
    def of(cls, models: Models, reads: str, asked: Asked) -> Self:
        x, family = asked.inputs[reads], models.manifest["default"][reads]
        p = temper(models.probabilities(family, x), models.calibration[family]["power"])
        return cls(asked, p, models.of_samples(reads, x, np.zeros((len(x), TOLD), np.float32)))

    @cached_property
    def number(self) -> np.ndarray:
        """The most probable one, as one number."""
        return CLASSES[self.p.argmax(1)]

    @cached_property
    def near(self) -> np.ndarray:
        """How probable the networks of samples find a mean near that."""
        return near(self.says[:, : len(GRID)], self.number)

    @property
    def right(self) -> np.ndarray:
        """Where that is the number, or within 0.5 of the mean."""
        return np.abs(self.number - self.asked.number) <= 0.5

    def said(self, fitted: Fitted) -> np.ndarray:
        """p as answers say it, (n, 16): lowered where both kinds of network do not agree."""
        powers = [fitted[i]["power"] for i in self.asked.fold.tolist()]
        return np.array([with_sample(*one) for one in zip(self.p, self.near, powers, strict=True)])

    def described(self, fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
        """Kinds that are said, (n,), and intervals of the mean, (n, 2)."""
        found, intervals = np.zeros(len(self.p), int), np.zeros((len(self.p), 2))
        for i in np.unique(self.asked.fold):
            rows = self.asked.fold == i
            found[rows], intervals[rows] = described(self.says[rows], self.asked.elements[rows], fitted[i])
        return found, intervals


def run(config: Config) -> None:
    """Ask the finished models, calibrate them, and write them under the new version, with their card; renew README."""
    train = config.train
    manifest, metrics = evaluate.finished(train.keep)
    if manifest["version"] == train.version:
        raise ConfigError(f"[train] version = '{train.version}': calibrated anew, these models need one of their own")
    models, data = Models(Path(train.keep)), new(dataset.load(config.tables), train.structures)
    imperfect = dataset.load(train.defects) if train.defects else None
    if imperfect is not None:  # made of these crystals; graphene is known
        imperfect = imperfect.take(np.flatnonzero(np.isin(imperfect.prototypes, data.prototypes)))
    confirmed: dict[str, Any] = {"models": manifest["version"], **scores.describe(data)}
    with TemporaryDirectory() as scratch:
        asked = spectra(config, data, imperfect, Path(scratch))
        for reads in manifest["default"]:
            answers = {name: Answers.of(models, reads, one) for name, one in asked.items()}
            folds = [NONE, *range(train.folds)]
            fitted = {i: fit(answers, manifest["calibration"]["samples"][reads], i) for i in folds}
            manifest["calibration"]["samples"][reads] = fitted[NONE]
            confirmed[reads] = of_sites(models, reads, answers["sites"], data, fitted)
            confirmed[reads]["samples"] = of_samples(answers["samples"], fitted)
            if "foils" in answers:
                confirmed[reads]["samples"]["foils"] = of_samples(answers["foils"], fitted)["all"]
            if imperfect is not None:
                confirmed[reads]["defects"] = of_defects(answers["defects"], imperfect, data, fitted)
    metrics["confirmed"] = confirmed
    tables = {
        name: [table.provenance(Path(path)) for path in getattr(train, name)] for name in ("particles", "defects")
    }
    manifest["confirmed"] = {"spectra": [*map(table.provenance, config.tables)], **tables}
    finish(config, manifest | {"version": train.version, "date": datetime.date.today().isoformat()}, metrics)
    print(f"asked about {len(data)} sites that nothing in these models has learnt from")


def new(data: Dataset, tables: Sequence[str | Path]) -> Dataset:
    """The sites whose formula and structure type none of these crystals has, from which models may have learnt."""
    anonymous = {name.split()[0] for name in data.prototypes}
    formulas, alike = set(), []
    for path in tables:
        for row in structures.iterate(Path(path)):
            composition = Composition(Counter(row["species"].split()))
            formulas.add(labels.formula_key(composition))
            if composition.anonymized_formula in anonymous:
                alike.append(row["material_id"])
    types = set(labels.prototypes(tables, alike).values())
    rows = np.flatnonzero(~(np.isin(data.formulas, list(formulas)) | np.isin(data.prototypes, list(types))))
    if not tables or not len(rows):
        raise ConfigError("[train] structures: name the crystals that models may have learnt from; no site is left")
    return data.take(rows)


def spectra(config: Config, data: Dataset, imperfect: Dataset | None, folder: Path) -> dict[str, Asked]:
    """Realistic spectra of all sites, of samples, of imperfect crystals, and of the metals, which all models know."""
    seed, n_folds, how = config.seed, config.train.folds, in_the_beam(Augmentation())
    fold = dataset.folds(data.prototypes, n_folds, seed)
    anchors = Anchors.of(data, fold, config.train.particles, n_folds, seed, imperfect)
    mixed = make_samples(folder / "samples", anchors, np.zeros((len(anchors), 2), int), how, 1, seed)
    mean, kind = mixed.truth(0).T
    bulk = np.char.endswith(anchors.data.prototypes, f" {BULK}")
    new = np.flatnonzero(~bulk)

    def single(name: str, sites: Dataset, fold: np.ndarray) -> Asked:
        copy = copies.make(folder / name, sites, how, 1.0, 1, seed, fold)
        inputs = _inputs(copy, np.arange(len(sites)))
        return Asked(inputs, sites.elements, sites.cn, np.full(len(sites), ONE), fold)

    inputs = {reads: x[:, :-TOLD] for reads, x in _inputs(mixed, new).items()}
    out = {
        "sites": single("sites", data, fold),
        "samples": Asked(inputs, anchors.data.elements[new], mean[new], kind[new].astype(int), anchors.fold[new, 0]),
    }
    if bulk.any():
        out["foils"] = single("foils", anchors.data.take(np.flatnonzero(bulk)), np.arange(bulk.sum()) % n_folds)
    if imperfect is not None:
        out["defects"] = single("defects", imperfect, anchors.fold[anchors.defect, 0])
    return out


def _inputs(copy: Copies, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {reads: copy.inputs(reads, 0, rows) for reads in samples.SIZES}


def fit(answers: dict[str, Answers], calibration: dict[str, Any], without: int) -> dict[str, Any]:
    """The calibration with other odds, which leave few single sites and foils that are said to be several, and a power.

    That is the lowest which leaves few mixtures that mislead.
    """
    single = [(answers[name], answers[name].asked.fold != without) for name in ("sites", "foils") if name in answers]
    says = np.concatenate([one.says[rows] for one, rows in single])
    odds = samples.odds_of(says, np.concatenate([one.asked.elements[rows] for one, rows in single]))
    mixed = answers["samples"]
    found = kinds(mixed.says, np.array([odds[element] for element in mixed.asked.elements]))
    rows = (mixed.asked.kind == SEVERAL) & (mixed.asked.fold != without)
    wrong = rows & (found == ONE) & ~mixed.right
    few = [(most(mixed.p.max(1), mixed.near, power) >= SURE)[wrong].sum() <= MISLED * rows.sum() for power in POWERS]
    return calibration | {"odds": odds, "power": float(POWERS[np.argmax(few)] if any(few) else 1.0)}


def of_sites(models: Models, reads: str, sites: Answers, data: Dataset, fitted: Fitted) -> dict[str, Any]:
    """How right the default family is about single sites, and how sure answers are."""
    family, every = models.calibration[models.manifest["default"][reads]], np.arange(len(data))
    thresholds = [family["thresholds"][element] * np.sqrt(family["prior"]) for element in data.elements]
    sets = [prediction_set(p, CLASSES, threshold) for p, threshold in zip(sites.p, thresholds, strict=True)]
    majority = scores.rates(data, every, scores.majority(data, sites.asked.fold))
    right = {"majority": majority, "sites": scores.score(data, every, sites.p, sets)}
    return right | {name: scores.sure(p, data.cn) for name, p in (("alone", sites.p), ("said", sites.said(fitted)))}


def of_samples(answers: Answers, fitted: Fitted) -> dict[str, dict[str, float]]:
    """How right the networks of samples are about all of these and about each kind, and how many mislead.

    These get one number with p of 0.8 or more, off from their mean by more than 0.5, and are not said to be several:
    with p of the default family alone, and with p as it is said.
    """
    asked, (found, intervals) = answers.asked, answers.described(fitted)
    blind = scores.of_the_absorber(asked.number, asked.elements, asked.fold, np.mean)
    wrong = (found == ONE) & ~answers.right
    misled = {name: wrong & (p.max(1) >= SURE) for name, p in (("alone", answers.p), ("said", answers.said(fitted)))}
    values = answers.says, asked.number, asked.kind, found, intervals, blind
    groups = {"all": asked.kind >= 0} | {name: asked.kind == i for i, name in enumerate(KINDS)}
    return {
        name: samples.score(*(part[rows] for part in values))
        | {f"misled_{whose}": float(one[rows].mean()) for whose, one in misled.items()}
        for name, rows in groups.items()
        if rows.any()
    }


def of_defects(answers: Answers, imperfect: Dataset, perfect: Dataset, fitted: Fitted) -> dict[str, Any]:
    """The default family, and what is said then, of sites of no perfect crystal, by what they are."""
    commonest = {e: np.bincount(perfect.cn[perfect.elements == e]).argmax() for e in set(perfect.elements)}
    always = np.array([commonest.get(e, 0) for e in imperfect.elements]) == imperfect.cn  # never met: nobody guesses
    names = np.array([defects.kind(site) for site in imperfect.sites])
    spoken = {"alone": answers.p, "said": answers.said(fitted)}
    return {
        kind: {"majority": float(always[rows].mean())}
        | {name: scores.sure(p[rows], imperfect.cn[rows]) for name, p in spoken.items()}
        for kind in dict.fromkeys(names.tolist())
        if (rows := np.flatnonzero(names == kind)).size
    }


def finish(config: Config, manifest: dict[str, Any], metrics: dict[str, Any]) -> None:
    """The folder of the new version, measured compounds asked about once more, with its card; the figures of README."""
    train = config.train
    target = Path(train.models or config.out / "models") / train.version
    shutil.copytree(train.keep, target, dirs_exist_ok=True)
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    if train.measured:  # the models without their formulas do not ship: what these said stays
        folder = Path(train.measured)
        metrics.setdefault("measured", {})["as shipped"] = measured.score(folder, target)
        metrics["samples"].setdefault("measured", {})["as shipped"] = measured.mixtures(folder, target)
    (target / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    (target / "README.md").write_text(card.render("card.md.jinja", manifest, metrics) + "\n")
    if train.readme:
        card.fill_page(Path(train.readme), card.render("figures.md.jinja", manifest, metrics))
