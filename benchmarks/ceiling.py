"""How much can be had: what is ambiguous in the labels, what is not in the spectra, what more sites bring.

    python -m benchmarks.ceiling CONFIG [--models plugin_data/VERSION] [--readme docs/ceiling.md]

CONFIG names the tables, whose folds are used: whole structure types held out, and of the five folds the first where a
model has to be trained here. What `phase` finds is of the models that are named, or of the stage evaluate of CONFIG.
Prints tables; with --readme it puts them between the markers of that page.
"""

import argparse
import json
from collections import Counter
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
COLUMNS = "all", "clear", "several kinds of neighbour", "numbers alike: mean of the shares found"
HEAD = f"| sites | {' | '.join(COLUMNS)} |\n{'|---' * (1 + len(COLUMNS))}|"
BASE, MORE, DRAWS = 6000, 3000, 3  # sites as they come and sites that are chosen, so many times anew
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


def kinds(this: Run) -> Iterator[str]:
    """What surroundings the sites have, and how often one network of `phase` is right about those of the first fold."""
    data, test = this.scored, this.held("prototype")[~this.data.extra] == 0
    learnt = _first_fold(this)
    network = _one_network(this, learnt[~this.data.extra[learnt]], 1.0, this.seed)
    told = this.spectra("realistic").inputs(network.reads, 0, np.flatnonzero(~this.data.extra))
    right = CLASSES[network.predict(told).argmax(1)] == data.cn
    mixed, metals = _mixed(data), data.metallic
    of_one = ~mixed & ~metals & (data.cn > 0)
    rows = {"neighbours of one kind, no metal": of_one, "several kinds, not metals alone": mixed & ~metals}
    rows |= {f"{name}, CN {n}": some & (data.cn == n) for n in (4, 6) for name, some in rows.items()}
    rows |= {f"CN {n} of one kind, no metal": of_one & (data.cn == n) for n in (7, 8, 9, 10)} | {"metals alone": metals}
    yield "| neighbours | sites | clear | in the first fold | right | clear ones right |"
    yield "|---|---|---|---|---|---|"
    for name, some in rows.items():
        clear = data.weight > CLEAR
        shares = [right[some & test], right[some & test & clear]]
        found = " | ".join(f"{one.mean():.1%}" if len(one) else "" for one in shares)
        yield f"| {name} | {some.sum()} | {clear[some].mean():.1%} | {(some & test).sum()} | {found} |"


def spectra(this: Run, tables: tuple[str, ...], finished: Path) -> Iterator[str]:
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
    metrics = json.loads((finished / "metrics.json").read_text())
    for test in ("ideal", "realistic"):
        rates = metrics["schemes"]["prototype"]["shipped"][test]["phase"]["all"]
        yield f"| {test} spectrum | phase | {rates['accuracy']:.1%} | {rates['clear']:.1%} |"


def learning(this: Run) -> Iterator[str]:
    """One network of `phase`, fewer and more sites."""
    learnt, single, asked = _first_fold(this), this.data.single, _asked(this)
    rng = np.random.default_rng(this.seed)
    usual = rng.permutation(learnt[~this.data.extra[learnt]])
    more, single = learnt[(this.data.extra & ~single)[learnt]], learnt[single[learnt]]
    sets = {f"{n} as they come": (usual[:n], 1.0) for n in (2500, 5000, 10000, len(usual))}  # rows, how long
    if len(more):
        sets[f"{len(usual)} as they come and {len(more)} more"] = np.concatenate([usual, more]), 1.0
    for times in (1.0, 2.0, 4.0) if len(single) else ():
        if times > 1:
            sets[f"{len(usual)} as they come, {times:g} times as long"] = usual, times
        rows = np.concatenate([usual, single])
        sets[f"the same with {len(single)} of single scattering, {times:g} times"] = rows, times
    yield HEAD
    for name, (rows, times) in sets.items():
        each = min(len(rows), 2 * len(usual)) if rows[-1] in single else len(rows)  # spectra in an epoch
        rates = _found(asked, _one_network(this, rows, times * len(usual) / each, this.seed))
        yield f"| {name} | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |"


def choosing(this: Run) -> Iterator[str]:
    """One network of `phase` with some sites as they come, and with `MORE` that are chosen among the others."""
    data, learnt, asked = this.data, _first_fold(this), _asked(this)
    usual = learnt[~data.extra[learnt]]
    found: list[dict[str, list[float]]] = []
    for seed in range(this.seed, this.seed + DRAWS):
        rng = np.random.default_rng(seed)
        base, pool = np.split(rng.permutation(usual), [BASE])
        network = _one_network(this, base, 1.5, seed)
        p = network.predict(this.spectra("realistic").inputs(network.reads, 0, pool))
        doubt = -(p * np.log(np.maximum(p, 1e-9))).sum(1)
        known = Counter(zip(data.elements[base], data.cn[base], strict=True))
        common = np.array([known[kind] for kind in zip(data.elements[pool], data.cn[pool], strict=True)])
        first = {
            "as they come": np.arange(len(pool)),
            "the network is least sure of": np.argsort(-doubt),
            "the same, with clear labels": np.lexsort([-doubt, data.weight[pool] <= CLEAR]),
            "of the rarest numbers of their absorbers": np.lexsort([rng.random(len(pool)), common]),
            "with several kinds of neighbour": np.lexsort([rng.random(len(pool)), ~_mixed(data)[pool]]),
            "of structure types that are not there": np.argsort(np.isin(data.prototypes[pool], data.prototypes[base]),
                                                                kind="stable"),
        }  # fmt: skip
        row = {"": _found(asked, network)}
        for name, order in tqdm(first.items(), desc=f"draw {len(found) + 1} of {DRAWS}"):
            row[name] = _found(asked, _one_network(this, np.concatenate([base, pool[order[:MORE]]]), 1.0, seed))
        found.append(row)
    yield HEAD
    for name in found[0]:
        rates = np.array([row[name] for row in found])
        error = rates.std(0, ddof=1) / np.sqrt(DRAWS)
        said = [f"{rate:.1%} ± {100 * one:.1f}" for rate, one in zip(rates.mean(0), error, strict=True)]
        yield f"| {BASE}{f' and {MORE} {name}' if name else ''} | " + " | ".join(said) + " |"


def _first_fold(this: Run) -> np.ndarray:
    """Rows to learn from where the first fold of structure types is held out."""
    return np.flatnonzero((this.schemes["prototype"] != 0) & this.data.trainable)


def _one_network(this: Run, rows: np.ndarray, times: float, seed: int) -> families.Network:
    recipe = replace(this.recipe, members=1, phase_epochs=round(times * STEPS))
    return families.fit("phase", this.spectra("shipped"), rows, recipe, seed)


def _asked(this: Run) -> tuple[Dataset, np.ndarray]:
    """The sites of the first fold, and their spectra as networks of `phase` read them."""
    test = np.flatnonzero((this.schemes["prototype"] == 0) & ~this.data.extra)
    return this.data.take(test), this.spectra("realistic").inputs("complex", 0, test)


def _found(asked: tuple[Dataset, np.ndarray], network: families.Network) -> list[float]:
    """Of the first fold: shares that are right (`COLUMNS`)."""
    own, told = asked
    guess = CLASSES[network.predict(told).argmax(1)]
    right, clear = guess == own.cn, own.weight > CLEAR
    alike = np.mean([right[own.cn == n].mean() for n in CLASSES if (own.cn == n).sum() >= 5])
    return [float(share) for share in (right.mean(), right[clear].mean(), right[_mixed(own)].mean(), alike)]


def _mixed(data: Dataset) -> np.ndarray:
    """Sites with several kinds of neighbour, as a mask: their shells are like 'O4 N2'."""
    return np.char.count(data.shell, " ") > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--readme", type=Path, help="page with markers, to be filled")
    parser.add_argument("--models", type=Path, help="finished models, whose figures of `phase` are taken")
    arguments = parser.parse_args()
    settings = config.load(arguments.config)
    this = Run.load(settings)
    parts = {
        "Labels": labels(this.scored),
        "Spectra": spectra(this, settings.train.structures, arguments.models or this.folder),
        "Neighbours": kinds(this),
        "Learning curve": learning(this),
        "Choosing sites": choosing(this),
    }
    text = "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in parts.items())
    print(text)
    if arguments.readme:
        card.fill_page(arguments.readme, text)


if __name__ == "__main__":
    main()
