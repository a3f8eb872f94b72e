"""Stage `train`: every family fitted to the whole table; and what models say of what they were fitted without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from build_models.config import Config
from build_models.data import work
from build_models.data.table import replacing
from build_models.learn import domain, families, samples
from build_models.run import Run
from build_models.spectra.copies import Compositions, Copies

Tests = Mapping[str, tuple[Copies | Compositions, np.ndarray]]
FEW = 1000  # sites, below which starting processes takes longer than the work
DEFAULT = {"complex": "phase", "magnitude": "shells"}  # the family that answers where none is named, by what it reads


def trained(run: Run, unseen: bool = False) -> dict[str, Any]:
    """The families fitted to the whole table, or the one that was fitted without the unseen formulas."""
    return {name: load(run, name, unseen) for name in _names(run, unseen)}


def load(run: Run, name: str, unseen: bool) -> Any:
    """What `fit_missing` fitted. These files are the builder's own scratch: what ships is ONNX."""
    return joblib.load(_path(run, name, unseen))


def fit_missing(run: Run) -> None:
    """Fit what is not there yet: all families to the whole table, the default one without the unseen formulas too."""
    files: dict[Path, tuple] = {}
    spectra = run.spectra("shipped")
    for unseen in (False, True) if run.unseen_formulas else (False,):
        seen = ~(run.unseen & unseen)
        for name in _names(run, unseen):
            rows = np.flatnonzero(seen & run.learns(name))
            files[_path(run, name, unseen)] = (families.fit, name, spectra, rows, run.recipe, run.seed)
        if unseen or not run.config.train.keep:
            every = np.flatnonzero(seen & run.data.trainable)
            real = every[~run.data.made_up[every]]
            for kind in families.BY_COMPOSITION:
                fitted = (kind, run.compositions[kind], real, run.recipe, run.seed)
                files[_path(run, f"composition-{kind}", unseen)] = (families.fit, *fitted)
            of_feff = run.data.take(every[~run.data.single[every]])
            files[_path(run, "domain", unseen)] = (domain.fit, of_feff, run.recipe.augmentation, run.seed)
        rows = np.flatnonzero(~(run.unseen_anchors(run.learnt) & unseen))
        mixed = run.samples("unseen" if unseen else "shipped")
        for reads in samples.SIZES:
            learnt = (reads, mixed, rows, run.recipe, run.seed)
            files[_path(run, f"samples-{reads}", unseen)] = (samples.fit_networks, *learnt)
    run_jobs(run, files, "train")


def _names(run: Run, unseen: bool) -> list[str]:
    if unseen:
        return [DEFAULT["complex"]]
    return [] if run.config.train.keep else [*families.FAMILIES]


def _path(run: Run, name: str, unseen: bool) -> Path:
    return run.folder / f"{name}{'-unseen' if unseen else ''}.joblib"


def run_jobs(run: Run, files: dict[Path, tuple], what: str) -> None:
    """Files that are not there yet, by function and arguments; what takes longest is begun with."""
    first = sorted(files, key=lambda path: not set(families.LONGEST).intersection(path.stem.split("-")))
    workers = run.config.run.workers if len(run.data) > FEW else 1
    work.make_missing({path: (_save, *files[path]) for path in first}, workers, what)


def _save(path: Path, make: Callable, *arguments: Any) -> None:
    with replacing(path) as temporary:
        joblib.dump(make(*arguments), temporary)


def run(config: Config) -> None:
    """Fit all families; a run that was cut off goes on with the family it was at."""
    this = Run.load(config)
    formulas, usable = len(set(this.data.formulas)), this.data.trainable.sum()
    print(f"{len(this.data)} sites of {formulas} formulas; {usable} have a coordination number of 1 to 16")
    fit_missing(this)


@dataclass(frozen=True)
class Fits:
    """One model for each fold: how it is fitted, to which rows of which spectra, and what it is asked then."""

    fit: Callable  # of name, spectra, rows, recipe and seed
    name: str
    spectra: Copies | Compositions
    recipe: families.Recipe
    learns: np.ndarray  # mask of the rows to learn from, those of a fold's own among them
    tests: Tests  # by name: spectra, and fold numbers of their rows, -1: not asked


def held_out(
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
    run_jobs(run, jobs, f"cross-validation, {what}")
    said: dict[str, dict[str, np.ndarray]] = {name: {} for name in fits}
    for (name, i), path in files.items():
        for test, answers in joblib.load(path).items():
            held = fits[name].tests[test][1]
            said[name].setdefault(test, np.zeros((len(held), answers.shape[1])))[_held_out(held, i)] = answers
    return said


def _held_out(fold: np.ndarray, i: int) -> np.ndarray:
    return np.flatnonzero((fold.reshape(len(fold), -1) == i).all(1))


def predict_fold(fit: Callable, arguments: tuple, tests: Tests) -> dict[str, np.ndarray]:
    """What a model that is fitted to other folds says of some rows of each test."""
    model = fit(*arguments)
    return {name: model.predict(spectra.inputs(model.reads, 0, rows)) for name, (spectra, rows) in tests.items()}
