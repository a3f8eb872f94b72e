"""Stage `evaluate`: cross-validation and calibration, and with them the figures on simulated spectra.

Each fold of each family is one file, so that a run that was cut off goes on where it stopped.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from build_models.config import Config, ConfigError
from build_models.learn import calibrate, families, train
from build_models.learn.families import IDEAL_PHASE, PAPER, PAPER_FAMILIES, Recipe, fit, fit_per_absorber
from build_models.learn.samples import FALSE_ALARMS
from build_models.learn.train import Fits, Tests
from build_models.report import figures, samples, scores
from build_models.run import Run
from build_models.spectra.dataset import CLASSES, Dataset

TESTS = ("realistic", "ideal")
# Figures that networks of samples have a part in; the last three are of models before 2026.11.17.
OF_SAMPLES = ("measured", "unseen", "confirmed", "warned", "defects", "said_by", "levels_from")
HEADLINE = "prototype"  # the split that calibrates what ships, and that cards begin with

Predicted = dict[str, dict[str, dict[str, np.ndarray]]]  # trained how -> test -> family -> (n, 16)


@dataclass(frozen=True)
class Trained:
    """One way to train: which families, on which spectra, with whose settings (None: the run's own)."""

    families: tuple[str, ...]
    spectra: str = "shipped"
    recipe: Recipe | None = None
    method: Callable = fit


_PAPER = Trained(PAPER_FAMILIES, "paper", PAPER, fit_per_absorber)
# What is compared for each way to split. The random split is there for the paper's own measure alone: ideal spectra.
COMPARED: dict[str, dict[str, Trained]] = {
    "prototype": {"shipped": Trained(tuple(families.FAMILIES)), "paper": _PAPER},
    "formula": {"shipped": Trained(("phase",))},
    "random": {"ideal": Trained(("phase",), "near ideal", IDEAL_PHASE), "paper": _PAPER},
}


def run(config: Config) -> None:
    """Cross-validate, calibrate, and write metrics.json and the pictures."""
    this = Run.load(config)
    of_kept = kept(config.train.keep) if config.train.keep else {}
    train.fit_missing(this)
    metrics = of_kept or of_sites(this)
    metrics["samples"], metrics["calibration"]["samples"] = samples.evaluate(this)
    metrics["sample_folds"] = config.train.sample_folds or config.train.folds
    metrics["false_alarms"] = FALSE_ALARMS
    if this.unseen.any():
        metrics["unseen"] = unseen(this)
    (this.folder / "metrics.json").write_text(json.dumps(metrics, indent=1))
    print(f"{this.folder / 'metrics.json'}: all figures, for the card that stage export writes")


def finished(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and metrics of finished models, those that `[train] keep` names."""
    try:
        manifest, metrics = (
            json.loads((Path(folder) / name).read_text()) for name in ("manifest.json", "metrics.json")
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"[train] keep = '{folder}': it holds no finished models ({error})") from None
    return manifest, metrics


def kept(folder: str) -> dict[str, Any]:
    """The figures and the calibration of finished models, but for what networks of samples have a part in.

    Measured compounds, and what was not seen, are asked about anew with the new ones, or there are no such figures.
    """
    manifest, metrics = finished(folder)
    said = {name: value for name, value in metrics.items() if name not in OF_SAMPLES}
    return said | {"calibration": manifest["calibration"]}


def of_sites(this: Run) -> dict[str, Any]:
    """Figures and calibration of the families, and the pictures."""
    data = this.scored
    metrics: dict[str, Any] = {"data": scores.describe(data), "folds": this.config.train.folds, "schemes": {}}
    metrics["macro_f1_over"] = "classes"  # for the card: those of 2026.11.13, which are kept, do not say it
    metrics["data"]["extra"] = int((this.data.extra & ~this.data.single).sum())
    metrics["data"]["single"] = int(this.data.single.sum())
    metrics["data"]["made_up"] = int((this.data.extra & this.data.made_up).sum())
    for scheme, fold in this.schemes.items():
        told, predicted = by_composition(this, scheme), cross_validate(this, scheme)
        fold = fold[~this.data.extra]
        results = summarise(data, fold, predicted, told if "shipped" in predicted else {})
        metrics["schemes"][scheme] = {"baselines": baselines(data, fold, told["formula"]), **results}
        if scheme == HEADLINE:
            realistic = predicted["shipped"]["realistic"]
            metrics["calibration"] = {
                name: calibrate.fit(p, data.cn, data.elements, told) for name, p in realistic.items()
            }
            p, sets, each = calibrate.out_of_fold(realistic[train.DEFAULT["complex"]], data.cn, data.elements, fold)
            metrics["each_of_both"] = (
                True  # for the card: before 2026.12, what is in the 90 % set was not counted in it
            )
            metrics["each_size"] = float(each.sum(1).mean())
            metrics["by_number"] = scores.by_number(data, p, sets, each)
            figures.confusion(data, p, this.folder / "confusion.png")
    figures.importance(train.trained(this), this.folder / "importance.png")
    return metrics


def cross_validate(this: Run, scheme: str) -> Predicted:
    """Predictions for each scored site by models that did not see its fold, not yet calibrated."""
    compared, held = COMPARED[scheme], this.held(scheme)
    tests: Tests = {name: (this.spectra(name), held) for name in TESTS}
    fits = {}
    for name, trained in compared.items():
        spectra, recipe = this.spectra(trained.spectra), trained.recipe or this.recipe
        for family in trained.families:
            learns = this.learns(family if name == "shipped" else None)
            fits[f"{name}-{family}"] = Fits(trained.method, family, spectra, recipe, learns, tests)
    said = train.held_out(this, this.folder / scheme, scheme, fits, this.schemes[scheme])
    return {
        name: {
            test: {family: said[f"{name}-{family}"][test][held >= 0] for family in trained.families} for test in TESTS
        }
        for name, trained in compared.items()
    }


def by_composition(this: Run, scheme: str) -> dict[str, np.ndarray]:
    """The same by composition alone, (n, 16) for each kind that is told; formulas alone are a baseline everywhere."""
    fits, held = {}, this.held(scheme)
    for kind in families.BY_COMPOSITION if "shipped" in COMPARED[scheme] else ("formula",):
        known, learns = this.compositions[kind], this.data.trainable & ~this.data.made_up
        fits[f"composition-{kind}"] = Fits(fit, kind, known, this.recipe, learns, {kind: (known, held)})
    said = train.held_out(this, this.folder / scheme, f"composition, {scheme}", fits, this.schemes[scheme])
    return {kind: answers[held >= 0] for one in said.values() for kind, answers in one.items()}


def baselines(data: Dataset, fold: np.ndarray, told: np.ndarray) -> dict[str, Any]:
    """What is right without any spectrum: always the absorber's commonest number; composition and absorber (`told`)."""
    guesses = {"majority": scores.majority(data, fold), "composition": CLASSES[told.argmax(1)]}
    return {name: scores.by_absorber(data, scores.rates, guess=guess) for name, guess in guesses.items()}


def summarise(data: Dataset, fold: np.ndarray, predicted: Predicted, told: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Scores by way of training, test and family, for all sites and for each absorber; calibrated out of fold.

    What ships is scored on realistic spectra once more with each of `told`, distributions by composition.
    """

    def scored(raw: np.ndarray, by_composition: np.ndarray | None = None) -> dict[str, dict[str, float]]:
        p, sets, _ = calibrate.out_of_fold(raw, data.cn, data.elements, fold, by_composition)
        return scores.by_absorber(data, scores.score, p=p, sets=sets)

    out = {
        name: {test: {family: scored(raw) for family, raw in tests[test].items()} for test in TESTS if test in tests}
        for name, tests in predicted.items()
    }
    for kind, known in told.items():
        shipped = predicted["shipped"]["realistic"]
        convolutional = [family for family in shipped if family in train.DEFAULT.values()]
        out[f"with {kind}"] = {"realistic": {family: scored(shipped[family], known) for family in convolutional}}
    return out


def unseen(this: Run) -> dict[str, Any]:
    """Models trained without some formulas, on the simulated sites of these."""
    family = train.DEFAULT["complex"]
    model, rows = train.trained(this, unseen=True)[family], np.flatnonzero(this.unseen & ~this.data.extra)
    p = model.predict(this.spectra("realistic").inputs(model.reads, 0, rows))
    hidden = this.data.take(rows)
    known = {"formulas": len(set(hidden.formulas)), "sites": len(rows)}
    return known | scores.rates(hidden, np.arange(len(rows)), CLASSES[p.argmax(1)])
