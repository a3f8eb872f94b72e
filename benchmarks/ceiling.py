"""How much can be had: what is ambiguous in the labels, what is not in the spectra, what more sites bring.

    python -m benchmarks.ceiling CONFIG [--readme docs/ceiling.md]

CONFIG is that of a finished training (stages train and evaluate), whose folds are used: whole structure types held out,
and of the five folds the first where a model has to be trained here. Prints tables; with --readme it puts them
between the markers of that page.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier
from tqdm import tqdm

from build_models import config
from build_models.data import structures
from build_models.learn import families
from build_models.report import card, scores
from build_models.run import Run
from build_models.spectra.dataset import CLASSES, CLEAR, Dataset

SHELLS = np.arange(1.2, 5.0, 0.1)  # Å
NEAREST = 24  # distances that the trees on exact distances read
STEPS = 20  # of the learning curve: epochs of all sites
AMPLITUDE = 0.18  # standard deviation of s02 among measured spectra: what a radial distribution is multiplied by


def surroundings(data: Dataset, tables: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The nearest distances of each site with the elements' Z, (n, 2 NEAREST), and its neighbours by `SHELLS`."""
    places = {site: i for i, site in enumerate(data.sites)}
    wanted: dict[str, list[int]] = {}
    for site in data.sites:
        name, _, index = site.rpartition(" site ")
        wanted.setdefault(name, []).append(int(index))
    exact, radial = np.zeros((len(data), 2 * NEAREST)), np.zeros((len(data), len(SHELLS)))
    rows = (row for path in tables for row in structures.iterate(Path(path)) if row["material_id"] in wanted)
    for row in tqdm(rows, desc="surroundings", total=len(wanted)):
        structure = structures.to_structure(row)
        for index in wanted[row["material_id"]]:
            atoms = structure.get_neighbors(structure[index], 6.0)
            near = sorted((atom.nn_distance, atom.specie.Z) for atom in atoms)[:NEAREST]
            i = places[f"{row['material_id']} site {index}"]
            exact[i, : 2 * len(near)] = np.ravel(near)
            for distance, _ in near:
                radial[i] += np.exp(-(((SHELLS - distance) / 0.1) ** 2) / 2)
    return exact, radial


def labels(data: Dataset) -> Iterator[str]:
    """What CrystalNN itself is not sure of, by number."""
    yield "| number | sites | clear | its mean weight | entropy, bits |"
    yield "|---|---|---|---|---|"
    for name, rows in [("all", data.trainable)] + [(str(n), data.cn == n) for n in CLASSES]:
        p = data.labels[rows]
        bits = -(p * np.log2(np.maximum(p, 1e-9))).sum(1).mean()
        clear, weight = (data.weight[rows] > CLEAR).mean(), data.weight[rows].mean()
        yield f"| {name} | {rows.sum()} | {clear:.1%} | {weight:.2f} | {bits:.2f} |"


def spectra(this: Run, tables: tuple[str, ...]) -> Iterator[str]:
    """The same sites and folds, told more and less: geometry, ideal and realistic spectra."""
    data, fold = this.scored, this.schemes["prototype"][~this.data.extra]
    absorber = (data.elements[:, None] == np.unique(data.elements)).astype(float)
    rng = np.random.default_rng(this.seed)
    exact, radial = surroundings(data, tables)
    rough = radial * np.clip(rng.normal(1, AMPLITUDE, (len(data), 1)), 0.4, 1.6)
    yield "| what is told | model | all sites | clear sites |"
    yield "|---|---|---|---|"
    usable = data.trainable

    def line(name: str, model: str, answers: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> str:
        """Each fold by what was fitted to the others; `answers` of the rows to learn from and of those to be told."""
        guess = np.zeros(len(data), int)
        for i in np.unique(fold):
            guess[fold == i] = answers((fold != i) & usable, fold == i)
        rates = scores.rates(data, np.arange(len(data)), guess)
        return f"| {name} | {model} | {rates['accuracy']:.1%} | {rates['clear']:.1%} |"

    def trees(x: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        forest = ExtraTreesClassifier(40, min_samples_leaf=2, max_features=0.3, n_jobs=-1, random_state=this.seed)
        return forest.fit(x[train], data.cn[train]).predict(x[test])

    def nearest(x: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        components = PCA(40, random_state=this.seed).fit(x[train]).transform(x)
        place = np.hstack([components, 1000 * absorber])  # of another absorber is never the nearest
        return KNeighborsClassifier(1).fit(place[train], data.cn[train]).predict(place[test])

    told = {
        "distances and elements of 24 neighbours, exact": np.hstack([exact, absorber]),
        "radial distribution, 0.1 Å wide": np.hstack([radial, absorber]),
        f"the same with an error of amplitude of {AMPLITUDE:.0%}": np.hstack([rough, absorber]),
    }
    for name, x in told.items():
        yield line(name, "trees", partial(trees, x))
    for test in ("ideal", "realistic"):
        x = this.spectra(test).inputs("complex", 0, np.flatnonzero(~this.data.extra))
        yield line(f"{test} spectrum", "nearest site", partial(nearest, x))
    metrics = json.loads((this.folder / "metrics.json").read_text())
    for test in ("ideal", "realistic"):
        rates = metrics["schemes"]["prototype"]["shipped"][test]["phase"]["all"]
        yield f"| {test} spectrum | phase | {rates['accuracy']:.1%} | {rates['clear']:.1%} |"


def learning(this: Run) -> Iterator[str]:
    """One network of `phase`, fewer and more sites."""
    data, fold, copies = this.data, this.schemes["prototype"], this.spectra("shipped")
    test, learnt = np.flatnonzero((fold == 0) & ~data.extra), (fold != 0) & data.trainable
    x = this.spectra("realistic").inputs("complex", 0, test)
    rng = np.random.default_rng(this.seed)
    usual = rng.permutation(np.flatnonzero(learnt & ~data.extra))
    more, single = np.flatnonzero(learnt & data.extra & ~data.single), np.flatnonzero(learnt & data.single)
    sets = {f"{n} as they come": (usual[:n], 1.0) for n in (2500, 5000, 10000, len(usual))}  # rows, how long
    if len(more):
        sets[f"{len(usual)} as they come and {len(more)} more"] = np.concatenate([usual, more]), 1.0
    for times in (1.0, 2.0, 4.0) if len(single) else ():
        if times > 1:
            sets[f"{len(usual)} as they come, {times:g} times as long"] = usual, times
        rows = np.concatenate([usual, single])
        sets[f"the same with {len(single)} of single scattering, {times:g} times"] = rows, times
    recipe = replace(this.recipe, members=1)
    own = data.take(test)
    yield "| sites | all | clear | numbers alike: mean of the shares found |"
    yield "|---|---|---|---|"
    for name, (rows, times) in sets.items():
        each = min(len(rows), 2 * len(usual)) if rows[-1] in single else len(rows)  # spectra in an epoch
        steps = replace(recipe, phase_epochs=round(times * STEPS * len(usual) / each))
        guess = CLASSES[families.fit("phase", copies, rows, steps, this.seed).predict(x).argmax(1)]
        rates = scores.rates(own, np.arange(len(own)), guess)
        found = np.mean([(guess[own.cn == n] == n).mean() for n in CLASSES if (own.cn == n).sum() >= 5])
        yield f"| {name} | {rates['accuracy']:.1%} | {rates['clear']:.1%} | {found:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--readme", type=Path, help="page with markers, to be filled")
    arguments = parser.parse_args()
    settings = config.load(arguments.config)
    this = Run.load(settings)
    parts = {
        "Labels": labels(this.scored),
        "Spectra": spectra(this, settings.train.structures),
        "Learning curve": learning(this),
    }
    text = "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in parts.items())
    print(text)
    if arguments.readme:
        card.fill_page(arguments.readme, text)


if __name__ == "__main__":
    main()
