"""Cross-validation: what models that were fitted without a row's fold say of it. Each fold of each is a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

from build_models.learn import train
from build_models.learn.families import Recipe
from build_models.run import Run
from build_models.spectra.copies import Asked, Seen


@dataclass(frozen=True)
class Fits:
    """One model for each fold: how it is fitted, to which rows of which spectra, and what it is asked then."""

    fit: Callable  # of name, spectra, rows, recipe and seed
    name: str
    spectra: Seen
    recipe: Recipe
    learns: np.ndarray  # mask of the rows to learn from, those of a fold's own among them
    tests: Mapping[str, tuple[Asked, np.ndarray]]  # by name: spectra, and fold numbers of their rows, -1: not asked


def predict(
    run: Run, folder: Path, what: str, fits: Mapping[str, Fits], fold: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """What each of `fits` says of each of its tests, by their names; rows that are not asked about are 0.

    `fold` has the fold numbers of the rows to learn from. Where a row has two, it is learnt from where neither is held
    out, and a row of a test is asked about where both are.
    """
    fold = fold.reshape(len(fold), -1)
    folds = {
        name: sorted({int(i) for _, held in one.tests.values() for i in np.unique(held) if i >= 0})
        for name, one in fits.items()
    }
    files = {(name, i): folder / f"{name}-{i}.joblib" for name in fits for i in folds[name]}
    jobs: dict[Path, tuple] = {}
    for (name, i), path in files.items():
        one, seen = fits[name], (fold != i).all(1)
        tests = {test: (spectra, _held_out(held, i)) for test, (spectra, held) in one.tests.items()}
        fitted = (one.name, one.spectra, np.flatnonzero(one.learns & seen), one.recipe, run.seed)
        jobs[path] = (predict_fold, one.fit, fitted, tests)
    train.run_jobs(run, jobs, f"cross-validation, {what}")
    said: dict[str, dict[str, np.ndarray]] = {name: {} for name in fits}
    for (name, i), path in files.items():
        for test, answers in joblib.load(path).items():
            held = fits[name].tests[test][1]
            said[name].setdefault(test, np.zeros((len(held), answers.shape[1])))[_held_out(held, i)] = answers
    return said


def _held_out(fold: np.ndarray, i: int) -> np.ndarray:
    return np.flatnonzero((fold.reshape(len(fold), -1) == i).all(1))


def predict_fold(
    fit: Callable, arguments: tuple, tests: Mapping[str, tuple[Asked, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What a model that is fitted to other folds says of some rows of each test."""
    model = fit(*arguments)
    return {name: model.predict(spectra.inputs(model.reads, 0, rows)) for name, (spectra, rows) in tests.items()}
