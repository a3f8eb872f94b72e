"""Stage `train`: fit every family on the whole table."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from build_models.config import Config
from build_models.learn import families
from build_models.learn.families import IDEAL_PHASE, PAPER, Recipe
from build_models.report import measured
from build_models.spectra import copies, dataset
from build_models.spectra.augment import IDEAL
from build_models.spectra.copies import Copies

FEW = 1000  # sites, below which starting processes takes longer than the work


def tables(config: Config) -> list[Path]:
    """The spectra tables of a run: those that the configuration names, or what stage `table` made."""
    return [Path(path) for path in config.train.tables] or [config.out / "spectra.parquet"]


def load(config: Config) -> dataset.Dataset:
    """Read the tables."""
    return dataset.load(tables(config))


def recipe(config: Config) -> Recipe:
    """The recipe with the configuration's numbers."""
    names = ("spectra", "epochs", "members", "copies", "trees", "bagged_trees")
    return replace(Recipe(), **{name: getattr(config.train, name) for name in names})


def key(config: Config, data: dataset.Dataset) -> str:
    """Same tables, recipe, seed and folds, same key: finished work is found under it."""
    what = [data.digest, len(data), config.seed, config.train.folds, sorted(unseen_formulas(config))]
    what += [asdict(one) for one in (recipe(config), PAPER, IDEAL_PHASE)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def folder(config: Config, data: dataset.Dataset) -> Path:
    path = config.out / "train" / key(config, data)
    path.mkdir(parents=True, exist_ok=True)
    return path


def unseen_formulas(config: Config) -> set[str]:
    """Formulas that the second set of models must not see: those asked for, or those of the measured compounds."""
    asked = set(config.train.unseen_formulas)
    if not asked and config.train.measured:
        return set(measured.formulas(Path(config.train.measured)))
    return asked


def fold_schemes(config: Config, data: dataset.Dataset) -> dict[str, np.ndarray]:
    """Fold numbers of the two ways to split: whole formulas held out, and the paper's random split."""
    keys = {"grouped": data.formulas, "random": np.arange(len(data))}
    return {name: dataset.folds(k, config.train.folds, config.seed) for name, k in keys.items()}


def spectra(config: Config, data: dataset.Dataset, name: str) -> Copies:
    """Augmented spectra: 'shipped', 'paper' and 'near ideal' to train on, 'augmented' and 'ideal' to test with."""
    own = recipe(config)
    test = replace(own.augmentation, ideal=0.0, mixture=0.0)
    augmentation, sharpness, count, seed = {
        "shipped": (own.augmentation, own.sharpness, own.spectra, config.seed),
        "paper": (PAPER.augmentation, PAPER.sharpness, PAPER.spectra, config.seed),
        "near ideal": (IDEAL_PHASE.augmentation, IDEAL_PHASE.sharpness, IDEAL_PHASE.spectra, config.seed),
        "augmented": (test, 1.0, 1, config.seed + 1),
        "ideal": (IDEAL, 1.0, 1, config.seed + 1),
    }[name]
    unseen = np.isin(data.formulas, list(unseen_formulas(config)))
    apart = np.column_stack([*fold_schemes(config, data).values(), unseen])
    progress = partial(tqdm, desc=f"spectra, {name}", disable=count == 1)
    path = folder(config, data) / f"spectra-{name.replace(' ', '-')}"
    return copies.make(path, data, augmentation, sharpness, count, seed, apart, progress)


def trained(config: Config, data: dataset.Dataset, unseen: Collection[str] = ()) -> dict[str, Any]:
    """The families fitted to the whole table but the unseen formulas; what an earlier run finished is read back.

    These files are the builder's own scratch, read by the builder alone: what ships is ONNX.
    """
    fit_missing(config, data, unseen)
    return {name: joblib.load(_path(config, data, name, unseen)) for name in families.FAMILIES}


def fit_missing(config: Config, data: dataset.Dataset, *unseen: Collection[str]) -> None:
    """Fit what is not there yet: all families, once for each set of formulas that they must not see."""
    jobs = []
    made = spectra(config, data, "shipped")
    for formulas in unseen:
        rows = np.flatnonzero(data.trainable & ~np.isin(data.formulas, list(formulas)))
        for name in families.FAMILIES:
            path = _path(config, data, name, formulas)
            if not path.exists():
                jobs.append((_fit_and_save, (path, name, made, rows, recipe(config), config.seed)))
    run_jobs(config, data, sorted(jobs, key=lambda job: job[1][1] not in families.LONGEST), "train")


def _path(config: Config, data: dataset.Dataset, name: str, unseen: Collection[str]) -> Path:
    return folder(config, data) / f"{name}{'-unseen' if unseen else ''}.joblib"


def _fit_and_save(path: Path, *arguments: Any) -> None:
    partial_file = path.with_suffix(".part")
    joblib.dump(families.fit(*arguments), partial_file)
    partial_file.rename(path)


def run_jobs(config: Config, data: dataset.Dataset, jobs: Iterable[tuple[Callable, tuple]], what: str) -> None:
    """Do jobs that write files, on all cores."""
    jobs = list(jobs)
    workers = (config.run.workers or os.cpu_count() or 1) if len(data) > FEW else 1
    parallel = joblib.Parallel(min(workers, max(len(jobs), 1)), return_as="generator_unordered")
    work = parallel(joblib.delayed(function)(*arguments) for function, arguments in jobs)
    for _ in tqdm(work, desc=what, total=len(jobs), disable=not jobs):
        pass


def run(config: Config) -> None:
    """Fit all families; a run that was cut off goes on with the family it was at."""
    data = load(config)
    usable = int(data.trainable.sum())
    print(f"{len(data)} sites of {len(set(data.formulas))} formulas; {usable} have a coordination number of 1 to 16")
    fit_missing(config, data, *({(), tuple(sorted(unseen_formulas(config)))}))
