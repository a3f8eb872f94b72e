"""Stage `confirm`: finished models, as they ship, held against materials that nothing in them has learnt from.

Cross-validation asks other networks than those that ship, and each kind of network by itself. Here it is both kinds
together that answer: by these materials, and by foils, it is decided from when on a sample is said to be several; and
how right answers are, and how sure, stands on the card.
"""

import datetime
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
from build_models.learn import calibrate, samples
from build_models.report import evaluate, export, measured, scores
from build_models.report.samples import by_group, described
from build_models.spectra import copies, dataset
from build_models.spectra.augment import Augmentation
from build_models.spectra.copies import Compositions, Copies
from build_models.spectra.dataset import CLASSES, Dataset
from build_models.spectra.samples import Anchors, crystals, in_the_beam
from build_models.spectra.samples import make as make_samples
from larch_cnpredict.domain import SURE, Arrays
from larch_cnpredict.errors import ModelFileError
from larch_cnpredict.models import Models
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, ONE, TOLD, by_number, kinds, near
from larch_cnpredict.uncertainty import combined, temper, with_sample

# Spectra of each bulk metal: with 13 metals every fifth of the single sites by which odds are fitted is of a foil. Of
# foils more are said to be several, and the more they count, the fewer mixtures are found.
FOILS = 40
SINGLE = ("sites", "foils")  # of what is asked about
NONE = -1  # a fold without rows

# The calibration of the networks of samples, by the fold that its odds have not seen.
Fitted = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Spectra:
    """Spectra that the models are asked about, and what is true of them."""

    inputs: dict[str, np.ndarray]  # by what models read
    elements: np.ndarray  # absorbers
    number: np.ndarray  # of several sites the mean
    kind: np.ndarray  # index into `KINDS`
    fold: np.ndarray


@dataclass(frozen=True)
class Answers:
    """What the models say of them, with nothing told."""

    asked: Spectra
    p: np.ndarray  # (n, 16), of the default family at its temperature
    says: np.ndarray  # (n, 64), of the networks of samples

    @classmethod
    def of(cls, models: Models, reads: str, asked: Spectra) -> Self:
        x, family = asked.inputs[reads], models.manifest["default"][reads]
        p = temper(models.probabilities(family, x), models.calibration[family]["power"])
        return cls(asked, p, models.of_samples(reads, x, np.zeros((len(x), TOLD), np.float32)))

    @cached_property
    def number(self) -> np.ndarray:
        """The most probable one, as one number."""
        return CLASSES[self.p.argmax(1)]

    @property
    def right(self) -> np.ndarray:
        """Where that is the number, or within 0.5 of the mean."""
        return np.abs(self.number - self.asked.number) <= 0.5

    @cached_property
    def said(self) -> np.ndarray:
        """p as answers say it, (n, 16): lowered where both kinds of network do not agree."""
        density = self.says[:, : len(GRID)]
        rows = zip(self.p, near(density, self.number), by_number(density, CLASSES), strict=True)
        return np.array([with_sample(*one) for one in rows])


def run(config: Config) -> None:
    """Ask the finished models, calibrate them, and write them under the new version, with their card; renew README."""
    train = config.train
    models, manifest, metrics = begin(config)
    data = new(dataset.load(config.tables), train.structures)
    imperfect = made_of(data, train.defects)
    networks = metrics.get("confirmed", {}).get("models", manifest["version"])
    confirmed: dict[str, Any] = {"models": networks, "false_alarms": samples.FALSE_ALARMS, **scores.describe(data)}
    confirmed["each_of_both"] = True  # as `evaluate` has it
    with TemporaryDirectory() as scratch:
        asked = spectra(config, data, imperfect, Path(scratch))
        for reads in manifest["default"]:
            answers = {name: Answers.of(models, reads, one) for name, one in asked.items()}
            before = manifest["calibration"]["samples"][reads]
            fitted = {i: before | {"odds": before["odds"] | odds(answers, i)} for i in (NONE, *range(train.folds))}
            manifest["calibration"]["samples"][reads] = fitted[NONE]
            confirmed[reads] = of_sites(models, reads, answers["sites"], data)
            # the family alone, asked for so high a p that it is as often sure of a site
            often = np.quantile(answers["sites"].p.max(1), 1 - confirmed[reads]["said"]["sure"])
            confirmed[reads]["samples"] = of_samples(answers["samples"], fitted, before, often)
            for name, one in answers.items():
                if name in SINGLE:
                    confirmed[reads]["samples"][name] = of_samples(one, fitted, before, often)["all"]
            if imperfect is not None:
                confirmed[reads]["defects"] = of_defects(answers["defects"], imperfect, data)
    metrics["confirmed"] = confirmed
    tables = export.tables(train, "particles", "defects")
    known = [{"file": Path(path).name, "sha256": table.sha256(Path(path))} for path in train.structures]
    manifest["confirmed"] = {"spectra": [*map(table.provenance, config.tables)], **tables, "learnt from": known}
    finish(config, manifest, metrics)
    print(f"asked about {len(data)} sites that nothing in these models has learnt from")


def begin(config: Config) -> tuple[Models, dict[str, Any], dict[str, Any]]:
    """The finished models, their manifest and metrics, if what is made of them has a place of its own to go to."""
    manifest, metrics = evaluate.finished(config.train.keep)
    folder = Path(config.train.keep)
    try:
        models = Models(folder)
    except ModelFileError as error:
        raise ConfigError(f"[train] keep: {error}") from None
    for entry in (entry for part in ("families", "composition", "samples") for entry in manifest[part].values()):
        if table.sha256(folder / entry["file"]) != entry["sha256"]:
            raise ConfigError(f"[train] keep: {folder / entry['file']} does not match its hash in manifest.json")
    if manifest["version"] == config.train.version:
        raise ConfigError(f"[train] version = '{manifest['version']}': what is new needs a version of its own")
    export.place(config)  # before the work
    return models, manifest, metrics


def made_of(data: Dataset, paths: Sequence[str | Path]) -> Dataset | None:
    """Sites of no perfect crystal that were made of these crystals; none of graphene, from which models have learnt."""
    if not paths:
        return None
    imperfect = dataset.load(paths)
    rows = np.flatnonzero(np.isin(crystals(imperfect), crystals(data)))
    return imperfect.take(rows) if len(rows) else None


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


def spectra(config: Config, data: Dataset, imperfect: Dataset | None, folder: Path) -> dict[str, Spectra]:
    """Realistic spectra of all sites, of samples, of imperfect crystals, and of the metals, which all models know."""
    seed, n_folds, how = config.seed, config.train.folds, in_the_beam(Augmentation())
    fold = dataset.folds(data.prototypes, n_folds, seed)
    anchors = Anchors.of(data, fold, config.train.particles, n_folds, seed, imperfect)
    mixed = make_samples(folder / "samples", anchors, np.zeros((len(anchors), 2), int), how, 1, seed)
    mean, kind = mixed.truth(0).T
    bulk = np.char.endswith(anchors.data.prototypes, f" {BULK}")
    unknown = np.flatnonzero(~bulk)

    def single(name: str, sites: Dataset, fold: np.ndarray) -> Spectra:
        copy = copies.make(folder / name, sites, how, 1.0, 1, seed, fold)
        inputs = _inputs(copy, np.arange(len(sites)))
        return Spectra(inputs, sites.elements, sites.cn, np.full(len(sites), ONE), fold)

    inputs = {reads: x[:, :-TOLD] for reads, x in _inputs(mixed, unknown).items()}
    elements, mean, kind, held = (part[unknown] for part in (anchors.data.elements, mean, kind, anchors.fold[:, 0]))
    out = {"sites": single("sites", data, fold), "samples": Spectra(inputs, elements, mean, kind.astype(int), held)}
    if bulk.any():
        metals = np.unique(anchors.data.sites[bulk], return_index=True)[1]
        foils = np.repeat(np.flatnonzero(bulk)[metals], FOILS)
        out["foils"] = single("foils", anchors.data.take(foils), np.arange(len(foils)) % n_folds)
    if imperfect is not None:
        out["defects"] = single("defects", imperfect, anchors.fold[anchors.defect, 0])
    return out


def _inputs(copy: Copies, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {reads: copy.inputs(reads, 0, rows) for reads in samples.SIZES}


def odds(answers: dict[str, Answers], without: int) -> dict[str, float]:
    """The odds that leave few single sites, foils among them, that are said to be several; not by those of a fold."""
    single = [(one, one.asked.fold != without) for name, one in answers.items() if name in SINGLE]
    says = np.concatenate([one.says[rows] for one, rows in single])
    return samples.odds_of(says, np.concatenate([one.asked.elements[rows] for one, rows in single]))


def of_sites(models: Models, reads: str, sites: Answers, data: Dataset) -> dict[str, Any]:
    """How right the default family is about single sites, and how sure answers are; baselines without a spectrum.

    And how right it is where the formula is told.
    """
    family, every = models.calibration[models.manifest["default"][reads]], np.arange(len(data))
    prior = np.array(family["prior"])
    sets, each = (calibrate.members(sites.p, one) for one in calibrate.thresholds_of(family, prior, data.elements))
    told = models.probabilities("formula", Compositions.of(data, "formula", 1.0).x)
    joint = combined(sites.p, told, prior, family["formula"]["weights"])
    guesses = {"majority": scores.majority(data, sites.asked.fold)}
    guesses |= {"composition": CLASSES[told.argmax(1)], "with formula": CLASSES[joint.argmax(1)]}
    return {
        **{name: scores.rates(data, every, guess) for name, guess in guesses.items()},
        "sites": scores.score(data, every, sites.p, sets),
        "by_number": scores.by_number(data, sites.p, sets, each),
        **{name: scores.sure(p, data.cn) for name, p in (("alone", sites.p), ("said", sites.said))},
    }


def of_samples(answers: Answers, fitted: Fitted, before: dict[str, Any], often: float) -> dict[str, dict[str, float]]:
    """How right the networks of samples are about all of these, each kind, and what is said to be each; who misleads.

    Misled are those that get one number, sure and off from their mean by more than 0.5, and are not said to be several:
    with the p of the default family at 0.8 and at `often`, and with p as it is said. `before`, the calibration with the
    odds of before, says how many were said to be several with these.
    """
    asked = answers.asked
    found, intervals = described(answers.says, asked.elements, asked.fold, fitted)
    former = kinds(answers.says, np.array([before["odds"][element] for element in asked.elements]))
    blind = scores.of_the_absorber(asked.number, asked.elements, asked.fold, np.mean)
    top, wrong = answers.p.max(1), (found == ONE) & ~answers.right
    more = {
        "misled_alone": wrong & (top >= SURE),
        "misled_as_often": wrong & (top >= often),
        "misled_said": wrong & (answers.said.max(1) >= SURE),
        "several": found != ONE,
        "several_before": former != ONE,
    }
    groups = {"all": asked.kind >= 0} | {name: asked.kind == i for i, name in enumerate(KINDS)}
    groups |= {f"said: {name}": found == i for i, name in enumerate(KINDS)}
    scored = by_group(groups, answers.says, asked.number, asked.kind, found, intervals, blind)
    return {
        name: one | {what: float(mask[groups[name]].mean()) for what, mask in more.items()}
        for name, one in scored.items()
    }


def of_defects(answers: Answers, imperfect: Dataset, perfect: Dataset) -> dict[str, Any]:
    """The default family, and what is said then, of sites of no perfect crystal, by what they are."""
    commonest = {e: np.bincount(perfect.cn[perfect.elements == e]).argmax() for e in set(perfect.elements)}
    always = np.array([commonest.get(e, 0) for e in imperfect.elements]) == imperfect.cn  # never met: nobody guesses
    names = np.array([defects.kind(site) for site in imperfect.sites])
    spoken = {"alone": answers.p, "said": answers.said}
    return {
        kind: {"majority": float(always[rows].mean())}
        | {name: scores.sure(p[rows], imperfect.cn[rows]) for name, p in spoken.items()}
        for kind in dict.fromkeys(names.tolist())
        if (rows := np.flatnonzero(names == kind)).size
    }


def finish(config: Config, manifest: dict[str, Any], metrics: dict[str, Any], known: Arrays | None = None) -> None:
    """The folder of the new version, measured compounds asked about once more, with its card; the figures of README.

    `known` is what domain.npz is to hold, where that is new.
    """
    train = config.train
    manifest |= {"version": train.version, "date": datetime.date.today().isoformat()}
    with TemporaryDirectory() as scratch:
        folder = shutil.copytree(train.keep, Path(scratch) / train.version)
        manifest |= export.write_domain(folder, known) if known else {}
        export.write_manifest(folder, manifest)
        if train.measured:  # the models without their formulas do not ship: what these said stays
            compounds = Path(train.measured)
            metrics.setdefault("measured", {})["as shipped"] = measured.score(compounds, folder)
            metrics["samples"].setdefault("measured", {})["as shipped"] = measured.mixtures(compounds, folder)
        export.ship(folder, config, manifest, metrics)
