"""Stage `train`: fit every family on the whole table."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from build_models.config import Config
from build_models.data.table import replacing
from build_models.learn import composition, domain, families, samples
from build_models.run import Run
from build_models.spectra.copies import Copies

FEW = 1000  # sites, below which starting processes takes longer than the work
DEFAULT = {"complex": "phase", "magnitude": "shells"}  # the family that answers where none is named, by what it reads


def trained(run: Run, unseen: bool = False) -> dict[str, Any]:
    """The families fitted to the whole table, or the one that was fitted without the unseen formulas.

    These files are the builder's own scratch, read by the builder alone: what ships is ONNX.
    """
    return {name: joblib.load(_path(run, name, unseen)) for name in _names(run, unseen)}


def compositions(run: Run, unseen: bool = False) -> dict[str, families.Trees]:
    """The forests on composition, fitted as those of `trained` are."""
    return {kind: joblib.load(_path(run, f"composition-{kind}", unseen)) for kind in composition.KINDS}


def trained_samples(run: Run, unseen: bool = False) -> dict[str, families.Network]:
    """The networks of samples, by what they read."""
    return {reads: joblib.load(_path(run, f"samples-{reads}", unseen)) for reads in samples.SIZES}


def fit_missing(run: Run) -> None:
    """Fit what is not there yet: all families to the whole table, the default one without the unseen formulas too."""
    jobs: list[tuple[Callable, tuple]] = []
    spectra = run.spectra("shipped")
    for unseen in (False, True) if run.unseen_formulas else (False,):
        every = run.data.trainable & ~(run.unseen & unseen)
        rows = np.flatnonzero(every & ~run.data.chosen)
        for name in _names(run, unseen):
            known = np.flatnonzero(every) if name in families.LEARN_CHOSEN else rows
            path = _path(run, name, unseen)
            if not path.exists():
                jobs.append((_save, (path, families.fit, name, spectra, known, run.recipe, run.seed)))
        kept = run.config.train.keep and not unseen
        for kind in composition.KINDS:
            path = _path(run, f"composition-{kind}", unseen)
            if not (kept or path.exists()):
                jobs.append((_save, (path, composition.fit, run.data.take(rows), kind, run.seed)))
        path = domain_path(run, unseen)
        if not (kept or path.exists()):
            jobs.append((_fit_domain, (path, run.data.take(np.flatnonzero(every)), run.recipe.augmentation, run.seed)))
        for reads in samples.SIZES:
            path = _path(run, f"samples-{reads}", unseen)
            if not path.exists():
                fitted = (reads, run.samples("train"), run.sample_rows(unseen), run.recipe, run.seed)
                jobs.append((_save, (path, fit_samples, *fitted)))
    run_jobs(run, sorted(jobs, key=lambda job: job[1][0].stem.split("-")[0] not in families.LONGEST), "train")


def domain_path(run: Run, unseen: bool = False) -> Path:
    """domain.npz of the families that `trained` gives."""
    return run.folder / f"domain{'-unseen' if unseen else ''}.npz"


def fit_samples(reads: str, spectra: Copies, rows: np.ndarray, recipe: families.Recipe, seed: int) -> families.Network:
    """The networks of samples, fitted to some anchors."""
    return samples.network(reads).fit(spectra, rows, replace(recipe, epochs=samples.EPOCHS), seed, iter)


def _names(run: Run, unseen: bool) -> list[str]:
    if unseen:
        return [DEFAULT["complex"]]
    return [] if run.config.train.keep else [*families.FAMILIES]


def _path(run: Run, name: str, unseen: bool) -> Path:
    return run.folder / f"{name}{'-unseen' if unseen else ''}.joblib"


def _save(path: Path, fit: Callable, *arguments: Any) -> None:
    with replacing(path) as temporary:
        joblib.dump(fit(*arguments), temporary)


def _fit_domain(path: Path, *arguments: Any) -> None:
    save_arrays(path, domain.fit(*arguments))


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An npz file as a whole."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def run_jobs(run: Run, jobs: list[tuple[Callable, tuple]], what: str) -> None:
    """Do jobs that write files, on all cores."""
    workers = (run.config.run.workers or os.cpu_count() or 1) if len(run.data) > FEW else 1
    parallel = joblib.Parallel(min(workers, max(len(jobs), 1)), return_as="generator_unordered")
    work = parallel(joblib.delayed(function)(*arguments) for function, arguments in jobs)
    for _ in tqdm(work, desc=what, total=len(jobs), disable=not jobs):
        pass


def run(config: Config) -> None:
    """Fit all families; a run that was cut off goes on with the family it was at."""
    this = Run.load(config)
    formulas, usable = len(set(this.data.formulas)), this.data.trainable.sum()
    print(f"{len(this.data)} sites of {formulas} formulas; {usable} have a coordination number of 1 to 16")
    fit_missing(this)
