"""Cross-validation: what models say of each row that were fitted without the row's fold. Each fold is a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

from build_models.learn import train
from build_models.learn.families import Recipe
from build_models.run import Run
from build_models.spectra.copies import Seen


@dataclass(frozen=True)
class Fits:
    """One model for each fold: how it is fitted, to which rows of which spectra, and what it is asked then."""

    fit: Callable  # of name, spectra, rows, recipe and seed
    name: str
    spectra: Seen
    recipe: Recipe
    learns: np.ndarray  # mask of the rows to learn from, those of a fold's own among them
    tests: Mapping[str, Seen]


def predict(
    run: Run, folder: Path, what: str, fits: Mapping[str, Fits], learnt: np.ndarray, tested: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """What each of `fits` says of each test, by their names; rows that no fold holds out are 0.

    `learnt` and `tested` are fold numbers of the rows to learn from and to ask about (-1: not asked). Where a row has
    two, it is learnt from where neither is held out, and asked about where both are.
    """
    learnt, tested = (fold.reshape(len(fold), -1) for fold in (learnt, tested))
    folds = {int(i): np.flatnonzero((tested == i).all(1)) for i in np.unique(tested[tested >= 0])}
    files = {(name, i): folder / f"{name}-{i}.joblib" for name in fits for i in folds}
    jobs: dict[Path, tuple] = {}
    for (name, i), path in files.items():
        one, seen = fits[name], (learnt != i).all(1)
        fitted = (one.name, one.spectra, np.flatnonzero(one.learns & seen), one.recipe, run.seed)
        jobs[path] = (predict_fold, one.fit, fitted, one.tests, folds[i])
    train.run_jobs(run, jobs, f"cross-validation, {what}")
    said: dict[str, dict[str, np.ndarray]] = {name: {} for name in fits}
    for (name, i), path in files.items():
        for test, answers in joblib.load(path).items():
            said[name].setdefault(test, np.zeros((len(tested), answers.shape[1])))[folds[i]] = answers
    return said


def predict_fold(fit: Callable, arguments: tuple, tests: Mapping[str, Seen], rows: np.ndarray) -> dict[str, np.ndarray]:
    """What a model that is fitted to other folds says of each test."""
    model = fit(*arguments)
    return {name: model.predict(test.inputs(model.reads, 0, rows)) for name, test in tests.items()}
