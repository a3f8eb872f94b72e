"""Stage `evaluate`: cross-validation, and every figure that README and cards give.

Each fold of each recipe is one file, so that a run that was cut off goes on where it stopped.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from build_models.config import Config
from build_models.learn import calibrate, families, train
from build_models.learn.families import IDEAL_PHASE, PAPER
from build_models.report import export, measured
from build_models.spectra.copies import Copies
from build_models.spectra.dataset import CLASSES, CLEAR, Dataset
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.uncertainty import pool, prediction_set

# What is compared for each way to split: how spectra are made for training, and whether all absorbers share a model.
# The random split is there for the paper's own measure alone: ideal spectra.
RECIPES: dict[str, dict[str, tuple[str, ...]]] = {
    "grouped": {
        "shipped": tuple(families.FAMILIES),
        "per absorber": ("network",),
        "paper": families.PAPER_FAMILIES,
    },
    "random": {"paper": families.PAPER_FAMILIES, "ideal": ("phase",)},
}
LEARNT = {"shipped": "shipped", "per absorber": "shipped", "paper": "paper", "ideal": "near ideal"}
SETTINGS = {"paper": PAPER, "ideal": IDEAL_PHASE}  # the others have the configuration's
OWN_MODELS = ("per absorber", "paper")  # one for each absorber
# Of the two convolutional families, the one that can read more: the other adds time and no accuracy.
POOLS = {"default": (*families.PAPER_FAMILIES, "phase"), "magnitude": (*families.PAPER_FAMILIES, "shells")}
TESTS = ("augmented", "ideal")


def run(config: Config) -> None:
    """Cross-validate, calibrate, and write metrics.json and the figures."""
    data = train.load(config)
    out = train.folder(config, data)
    metrics: dict[str, Any] = {"data": describe(data), "folds": config.train.folds}
    for scheme, fold in train.fold_schemes(config, data).items():
        predicted = cross_validate(config, data, scheme, fold)
        for test, found in predicted.get("ideal", {}).items():  # to be pooled with the paper's three
            found.update(predicted["paper"][test])
        metrics[scheme] = summarise(data, fold, predicted)
        if scheme == "grouped":
            metrics["calibration"] = calibration(data, predicted["shipped"]["augmented"])
            default, sets = pooled_out_of_fold(data, fold, predicted["shipped"]["augmented"], POOLS["default"])
            metrics["by_number"] = by_number(data, default, sets)
            figures_confusion(data, default, out / "confusion.png")
    figure_importance(train.trained(config, data), out / "importance.png")
    if train.unseen_formulas(config):
        metrics |= unseen(config, data, metrics)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1))
    print_summary(metrics)


def describe(data: Dataset) -> dict[str, Any]:
    """What the table holds."""
    return {
        "sites": len(data),
        "formulas": len(set(data.formulas)),
        "clear": int((data.weight > CLEAR).sum()),
        "not_labelled_1_to_16": int((~data.trainable).sum()),
        "digest": data.digest,
        "per_absorber": {e: int((data.elements == e).sum()) for e in ELEMENTS},
    }


def cross_validate(
    config: Config, data: Dataset, scheme: str, fold: np.ndarray
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Predictions for each site by models that did not see its fold: recipe -> test -> family -> (n, 16).

    Each fold of each family is one file, so that a run that was cut off goes on where it stopped.
    """
    out = train.folder(config, data) / scheme
    out.mkdir(exist_ok=True)
    recipes = RECIPES[scheme]
    made = {recipe: train.spectra(config, data, LEARNT[recipe]) for recipe in recipes}
    tests = {name: train.spectra(config, data, name) for name in TESTS}
    wanted = {
        (recipe, family, int(i)): out / f"{recipe.replace(' ', '_')}-{family}-{i}.npz"
        for recipe, names in recipes.items()
        for family in names
        for i in np.unique(fold)
    }
    jobs = []
    for (recipe, family, i), path in wanted.items():
        if not path.exists():
            seen = np.flatnonzero((fold != i) & data.trainable)
            fit = families.fit_per_absorber if recipe in OWN_MODELS else families.fit
            settings = SETTINGS.get(recipe) or train.recipe(config)
            fitted = (family, made[recipe], seen, settings, config.seed)
            jobs.append((_predict_fold, (path, fit, fitted, tests, np.flatnonzero(fold == i))))
    jobs.sort(key=lambda job: job[1][2][0] not in families.LONGEST)
    train.run_jobs(config, data, jobs, f"cross-validation, {scheme}")
    predicted = {
        recipe: {test: {f: np.zeros((len(data), len(CLASSES)), np.float32) for f in names} for test in TESTS}
        for recipe, names in recipes.items()
    }
    for (recipe, family, i), path in wanted.items():
        with np.load(path) as saved:
            for test in TESTS:
                predicted[recipe][test][family][fold == i] = saved[test]
    return predicted


def _predict_fold(path: Path, fit: Callable, arguments: tuple, tests: Mapping[str, Copies], rows: np.ndarray) -> None:
    model = fit(*arguments)
    answers = {name: model.predict(test.inputs(model.reads, 0, rows)) for name, test in tests.items()}
    partial_file = path.with_suffix(".part.npz")
    np.savez_compressed(partial_file, **answers)
    partial_file.rename(path)


def unseen(config: Config, data: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Models trained without some formulas: on the simulated sites of these, and beside the others on measured spectra.

    So nobody can say that the models remember FeS2 from its own simulation.
    """
    formulas = train.unseen_formulas(config)
    hidden = np.isin(data.formulas, list(formulas))
    models, scratch = train.trained(config, data, formulas), train.folder(config, data)
    out: dict[str, Any] = {}
    if hidden.any():
        rows, spectra = np.flatnonzero(hidden), train.spectra(config, data, "augmented")
        found = {name: model.predict(spectra.inputs(model.reads, 0, rows)) for name, model in models.items()}
        p = pool(found, metrics["calibration"]["default"]["weights"])
        out["unseen"] = {"formulas": len(set(data.formulas[rows])), "sites": len(rows)} | _rates(
            data, rows, CLASSES[p.argmax(1)]
        )
    if config.train.measured:
        folder = Path(config.train.measured)
        rest = data.take(np.flatnonzero(~hidden))
        shipped = export.write_models(scratch / "shipped", config, data, train.trained(config, data), metrics)
        others = export.write_models(scratch / "unseen", config, rest, models, metrics)
        out["measured"] = {
            "as shipped": measured.score(folder, shipped),
            "formulas unseen": measured.score(folder, others),
        }
    return out


def pooled_out_of_fold(
    data: Dataset, fold: np.ndarray, predicted: Mapping[str, np.ndarray], names: tuple[str, ...]
) -> tuple[np.ndarray, list[list[int]]]:
    """The pool and its 90 % sets for each site, with weights and thresholds from the other folds alone."""
    p = np.zeros((len(data), len(CLASSES)))
    sets: list[list[int]] = [[]] * len(data)
    for i in np.unique(fold):
        test, rest = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
        at = {name: predicted[name][rest] for name in names}
        weights = calibrate.fit_weights(at, data.cn[rest], names)
        thresholds = calibrate.fit_thresholds(pool(at, weights), data.cn[rest], data.elements[rest])
        p[test] = pool({name: predicted[name][test] for name in names}, weights)
        for row in test:
            sets[row] = prediction_set(p[row], CLASSES, thresholds[data.elements[row]])
    return p, sets


def calibration(data: Dataset, predicted: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Weights and thresholds that ship: from all out-of-fold predictions."""
    out = {}
    for name, members in POOLS.items():
        at = {f: predicted[f] for f in members}
        weights = calibrate.fit_weights(at, data.cn, members)
        out[name] = {
            "weights": weights,
            "thresholds": calibrate.fit_thresholds(pool(at, weights), data.cn, data.elements),
        }
    for family in predicted:
        thresholds = calibrate.fit_thresholds(predicted[family], data.cn, data.elements)
        out[family] = {"weights": {family: 1.0}, "thresholds": thresholds}
    return out


def summarise(data: Dataset, fold: np.ndarray, predicted: Mapping) -> dict[str, Any]:
    """Scores of each recipe, test and family, for all sites and for each absorber."""
    out: dict[str, Any] = {"majority": by_absorber(data, lambda rows: majority(data, fold, rows))}
    for recipe, tests in predicted.items():
        for test, by_family in tests.items():
            scored = dict(by_family)
            sets: dict[str, list[list[int]]] = {}
            for name, wanted in POOLS.items():
                members = tuple(family for family in wanted if family in by_family)
                if len(members) > 1:
                    scored[name], sets[name] = pooled_out_of_fold(data, fold, by_family, members)
            for family, p in scored.items():
                found = sets.get(family)
                out[f"{recipe} | {test} | {family}"] = by_absorber(data, partial(scores, data, p=p, sets=found))
    return out


def by_absorber(data: Dataset, score: Callable[[np.ndarray], dict]) -> dict[str, Any]:
    """A score for all, for each absorber, and the mean over absorbers."""
    out = {"all": score(np.arange(len(data)))}
    out |= {e: score(np.flatnonzero(data.elements == e)) for e in ELEMENTS if (data.elements == e).any()}
    names = out["all"]
    out["mean"] = {name: float(np.mean([out[e][name] for e in out if e in ELEMENTS])) for name in names}
    return out


def by_number(data: Dataset, p: np.ndarray, sets: list[list[int]]) -> dict[str, dict[str, float]]:
    """For each coordination number: sites, share found, share that the sets hold, what it is mostly taken for else."""
    out = {}
    guess = CLASSES[p.argmax(1)]
    for cn in CLASSES[np.isin(CLASSES, data.cn)]:
        rows = np.flatnonzero(data.cn == cn)
        wrong = guess[rows][guess[rows] != cn]
        out[str(cn)] = {
            "sites": len(rows),
            "found": float((guess[rows] == cn).mean()),
            "coverage": float(np.mean([cn in sets[row] for row in rows])),
            "taken_for": int(np.bincount(wrong).argmax()) if len(wrong) else int(cn),
        }
    return out


def majority(data: Dataset, fold: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """Always the commonest number of the absorber in the other folds."""
    guess = np.zeros(len(rows), int)
    for i in np.unique(fold[rows]):
        for element in np.unique(data.elements[rows]):
            other = data.cn[(fold != i) & (data.elements == element)]
            here = (fold[rows] == i) & (data.elements[rows] == element)
            guess[here] = np.bincount(other).argmax() if len(other) else 6
    return _rates(data, rows, guess)


def _rates(data: Dataset, rows: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    right, clear = guess == data.cn[rows], data.weight[rows] > CLEAR
    return {
        "accuracy": float(right.mean()),
        "clear": float(right[clear].mean()) if clear.any() else float("nan"),
        "within1": float((np.abs(guess - data.cn[rows]) <= 1).mean()),
        "macro_f1": float(f1_score(data.cn[rows], guess, average="macro", zero_division=0)),
    }


def scores(data: Dataset, rows: np.ndarray, p: np.ndarray, sets: list[list[int]] | None) -> dict[str, float]:
    """What is said of a model on some rows."""
    p = p[rows]
    out = _rates(data, rows, CLASSES[p.argmax(1)])
    logs = np.log(np.maximum(p, 1e-4))
    out["log_loss"] = float(-(data.labels[rows] * logs).sum(1).mean())
    out["calibration_error"] = calibrate.calibration_error(p, data.cn[rows])
    out["mean_error"] = float(np.abs(p @ CLASSES - data.labels[rows] @ CLASSES).mean())
    if sets is not None:
        out["coverage"] = float(np.mean([data.cn[row] in sets[row] for row in rows]))
        out["set_size"] = float(np.mean([len(sets[row]) for row in rows]))
    return out


def figures_confusion(data: Dataset, p: np.ndarray, path: Path) -> None:
    """Confusion matrices, one for each absorber, rows normalised."""
    plt = _pyplot()
    shown = np.arange(1, 15)
    figure, axes = plt.subplots(2, 5, figsize=(17, 7.5), sharex=True, sharey=True)
    for ax, element in zip(axes.flat, ELEMENTS, strict=True):
        rows = data.elements == element
        counts = confusion_matrix(data.cn[rows], CLASSES[p[rows].argmax(1)], labels=shown) if rows.any() else None
        if counts is not None:
            ax.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
            for i, j in zip(*np.nonzero(counts), strict=True):
                ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=5.5)
        ax.set(title=f"{element} ({rows.sum()} sites)", xticks=shown - 1, yticks=shown - 1)
        ax.set_xticklabels(shown, fontsize=7)
        ax.set_yticklabels(shown, fontsize=7)
    figure.supxlabel("predicted coordination number")
    figure.supylabel("CrystalNN")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def figure_importance(models: Mapping[str, Any], path: Path) -> None:
    """Gini importance over R of both tree families."""
    from larch_cnpredict.features import R_POOLED

    plt = _pyplot()
    figure, ax = plt.subplots(figsize=(7, 3.5))
    for name in ("bagging", "forest"):
        importance = models[name].gini()[: len(R_POOLED)]
        below = importance[R_POOLED < 3].sum() / importance.sum()
        ax.plot(R_POOLED, importance, label=f"{name}: {below:.0%} below 3 Å")
    ax.set(xlabel="R (Å)", ylabel="Gini importance", xlim=(0, 6), ylim=(0, None))
    ax.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def print_summary(metrics: Mapping[str, Any]) -> None:
    """The mean over absorbers of everything, a line each."""
    for scheme in ("grouped", "random"):
        print(f"\n{scheme}, mean over absorbers")
        for name, values in metrics[scheme].items():
            print(f"  {name:36s} {_line(values['mean'])}")
    if "unseen" in metrics:
        print(f"\nsimulated sites of formulas that training did not see\n  {_line(metrics['unseen'])}")
    for training, by_transform in metrics.get("measured", {}).items():
        print(f"\nmeasured spectra, {training}")
        for name, values in by_transform.items():
            print(f"  {name:8s} {_line({k: v for k, v in values.items() if isinstance(v, int | float)})}")


def _line(values: Mapping[str, float]) -> str:
    return "  ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )
