"""The kinds of model: how each is fitted to augmented spectra, and its ONNX form.

`network`, `bagging` and `forest` are the paper's three and read |chi(R)| alone. `phase` is the fourth: networks that
also read real and imaginary part at three k weights, where the group has chi(k).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from build_models.augment import IDEAL, Augmentation, augment, mix_sites
from build_models.dataset import CLASSES, Dataset
from larch_cnpredict import features

# ai.onnx.ml 3 and opset 17 run on every onnxruntime that the package allows.
OPSETS = {"": 17, "ai.onnx.ml": 3}
BATCH = 256
FEW = 5000
SHORT = 10.5  # Å^-1: where one model for short data would end and one for long data begin


@dataclass(frozen=True)
class Recipe:
    """How training spectra are made and how long networks see them."""

    augmentation: Augmentation = field(default_factory=Augmentation)
    # Labels are CrystalNN's weights to this power, normalised: 1 is its own distribution, a large number leaves the
    # most probable value alone.
    sharpness: float = 2.0
    epochs: int = 30
    members: int = 2  # networks that `phase` averages
    copies: int = 3  # augmented copies of a site that the trees see
    trees: int = 60
    bagged_trees: int = 24
    hidden: tuple[int, int] = (512, 256)
    dropout: float = 0.3


# The paper's: ideal spectra, one label each.
PAPER = Recipe(augmentation=IDEAL, sharpness=100.0, epochs=30, copies=1, trees=100)


def make_spectra(data: Dataset, rows: np.ndarray, rng: np.random.Generator, recipe: Recipe):
    """One augmented spectrum for each row: chi(k), its limits, and the labels."""
    highest = data.labels[rows].max(1, keepdims=True)
    labels = (data.labels[rows] / highest) ** np.float32(recipe.sharpness)
    labels /= labels.sum(1, keepdims=True)
    how = recipe.augmentation
    chi, kmax, kend = augment(data.variants[rows], data.shell_end[rows], rng, how)
    if how.mixture:
        chi, labels = mix_sites(chi, labels, data.mixing_groups[rows], rng, how.mixture)
    return chi, kmax, kend, labels


class Network:
    """Fully connected: two hidden layers, each ReLU and dropout; several are averaged."""

    def __init__(self, reads: str, members: int):
        self.reads, self.members = reads, members
        self.nets: list[torch.nn.Sequential] = []

    def fit(self, data: Dataset, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable) -> "Network":
        torch.manual_seed(seed)
        torch.set_num_threads(1)  # a second thread gains a tenth with matrices this small, and loses far more waiting
        rng = np.random.default_rng(seed)
        sample = self._inputs(data, rows, rng, recipe)[0]
        self.center, self.scale = sample.mean(0), sample.std(0) + 1e-3
        sizes = (sample.shape[1], *recipe.hidden, len(CLASSES))
        self.nets = [self._net(sizes, recipe.dropout) for _ in range(self.members)]
        parameters = [p for net in self.nets for p in net.parameters()]
        steps = recipe.epochs * -(-len(rows) // BATCH)
        optimizer = torch.optim.AdamW(parameters, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in progress(range(recipe.epochs)):
            x, y = self._inputs(data, rows, rng, recipe)  # new spectra each epoch: the augmentation is never repeated
            x, y = torch.from_numpy((x - self.center) / self.scale), torch.from_numpy(y)
            for batch in torch.randperm(len(x)).split(BATCH):
                losses = [-(y[batch] * torch.log_softmax(net(x[batch]), 1)).sum(1).mean() for net in self.nets]
                optimizer.zero_grad()
                sum(losses).backward()  # type: ignore[union-attr]
                optimizer.step()
                schedule.step()
        for net in self.nets:
            net.eval()
        return self

    def _inputs(self, data, rows, rng, recipe):
        chi, kmax, kend, labels = make_spectra(data, rows, rng, recipe)
        return features.from_chi(self.reads, chi, data.elements[rows], kmax, kend), labels

    @staticmethod
    def _net(sizes, dropout):
        layers: list[torch.nn.Module] = []
        for n_in, n_out in pairwise(sizes[:-1]):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
        return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-2], sizes[-1]))

    def predict(self, x: np.ndarray) -> np.ndarray:
        scaled = torch.from_numpy(((x - self.center) / self.scale).astype(np.float32))
        with torch.no_grad():
            return torch.stack([torch.softmax(net(scaled), 1) for net in self.nets]).mean(0).numpy()

    @property
    def classes(self) -> np.ndarray:
        return CLASSES

    def onnx(self) -> onnx.ModelProto:
        """The graph, written directly: it is six operators, and torch's exporter is a package of its own."""
        nodes, constants, outputs = [], [], []

        def constant(name: str, value: np.ndarray) -> str:
            constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
            return name

        nodes.append(helper.make_node("Sub", ["X", constant("center", self.center)], ["centered"]))
        nodes.append(helper.make_node("Div", ["centered", constant("scale", self.scale)], ["scaled"]))
        for m, net in enumerate(self.nets):
            value = "scaled"
            linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
            for i, layer in enumerate(linear):
                name = f"m{m}l{i}"
                weight = constant(f"{name}w", layer.weight.detach().numpy())
                bias = constant(f"{name}b", layer.bias.detach().numpy())
                nodes.append(helper.make_node("Gemm", [value, weight, bias], [name], transB=1))
                value = name
                if i < len(linear) - 1:
                    nodes.append(helper.make_node("Relu", [value], [f"{name}r"]))
                    value = f"{name}r"
            nodes.append(helper.make_node("Softmax", [value], [f"p{m}"], axis=1))
            outputs.append(f"p{m}")
        nodes.append(helper.make_node("Mean", outputs, ["probabilities"]))
        return _model(nodes, constants, len(self.center), len(CLASSES))


class Trees:
    """Bagged trees or a random forest on augmented copies, their labels drawn from CrystalNN's distribution."""

    reads = "magnitude"

    def __init__(self, kind: str):
        self.kind = kind

    def fit(self, data: Dataset, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable) -> "Trees":
        rng = np.random.default_rng(seed)
        xs, ys = [], []
        for _ in progress(range(recipe.copies)):
            chi, kmax, kend, labels = make_spectra(data, rows, rng, recipe)
            xs.append(features.from_chi(self.reads, chi, data.elements[rows], kmax, kend))
            cumulative = labels.cumsum(1)
            draw = rng.random((len(rows), 1)) * cumulative[:, -1:]
            ys.append(CLASSES[np.minimum((cumulative < draw).sum(1), len(CLASSES) - 1)])
        leaf = 8 if recipe.copies > 1 else 1
        jobs = -1 if len(rows) > FEW else 1  # a pool of workers costs more than a small forest
        if self.kind == "forest":
            self.model = RandomForestClassifier(
                recipe.trees, max_features="sqrt", min_samples_leaf=leaf, n_jobs=jobs, random_state=seed
            )
        else:
            self.model = BaggingClassifier(
                DecisionTreeClassifier(min_samples_leaf=leaf),
                recipe.bagged_trees,
                max_samples=0.25 if recipe.copies > 1 else 1.0,
                n_jobs=jobs,
                random_state=seed,
            )
        self.model.fit(np.vstack(xs), np.concatenate(ys))
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        out = np.zeros((len(x), len(CLASSES)))
        out[:, self.classes - CLASSES[0]] = self.model.predict_proba(x)
        return out

    @property
    def classes(self) -> np.ndarray:
        return self.model.classes_.astype(int)

    def gini(self) -> np.ndarray:
        """Mean decrease in impurity of each feature."""
        return np.mean([tree.feature_importances_ for tree in self.model.estimators_], axis=0)

    def onnx(self) -> onnx.ModelProto:
        """One TreeEnsembleClassifier, written directly: leaves carry class frequencies divided by the number of trees.

        Features are read as float32, and scikit-learn compares float32 features with float64 thresholds: a threshold is
        rounded down to the float32 below, which sends every float32 to the same side.
        """
        trees = [estimator.tree_ for estimator in self.model.estimators_]
        nodes: dict[str, list] = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes")}
        nodes |= {"truenodeids": [], "falsenodeids": []}
        leaf: dict[str, list] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
        for i, tree in enumerate(trees):
            n = tree.node_count
            split = tree.children_left >= 0
            below = tree.threshold.astype(np.float32)
            below = np.where(below > tree.threshold, np.nextafter(below, np.float32(-np.inf)), below)
            nodes["treeids"] += [i] * n
            nodes["nodeids"] += range(n)
            nodes["featureids"] += np.where(split, tree.feature, 0).tolist()
            nodes["values"] += np.where(split, below, 0).astype(float).tolist()
            nodes["modes"] += np.where(split, "BRANCH_LEQ", "LEAF").tolist()
            nodes["truenodeids"] += np.where(split, tree.children_left, 0).tolist()
            nodes["falsenodeids"] += np.where(split, tree.children_right, 0).tolist()
            share = tree.value[:, 0, :] / tree.value[:, 0, :].sum(1, keepdims=True) / len(trees)
            at, which = np.nonzero((share > 0) & ~split[:, None])
            leaf["treeids"] += [i] * len(at)
            leaf["nodeids"] += at.tolist()
            leaf["ids"] += which.tolist()
            leaf["weights"] += share[at, which].astype(float).tolist()
        attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in nodes.items()}
        attributes |= {f"class_{name}": values for name, values in leaf.items()}
        node = helper.make_node(
            "TreeEnsembleClassifier",
            ["X"],
            ["label", "probabilities"],
            domain="ai.onnx.ml",
            classlabels_int64s=self.classes.tolist(),
            post_transform="NONE",
            **attributes,
        )
        return _model([node], [], self.model.n_features_in_, len(self.classes))


def _model(nodes: list, constants: list, n_in: int, n_out: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, n_in])
    p = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, n_out])
    graph = helper.make_graph(nodes, "coordination number", [x], [p], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*item) for item in OPSETS.items()])
    model.ir_version = 8  # of opset 17: onnx itself would stamp its newest
    onnx.checker.check_model(model)
    return model


FAMILIES: dict[str, Callable[[Recipe], Any]] = {
    "network": lambda recipe: Network("magnitude", 1),
    "bagging": lambda recipe: Trees("bagging"),
    "forest": lambda recipe: Trees("forest"),
    "phase": lambda recipe: Network("complex", recipe.members),
}
PAPER_FAMILIES = ("network", "bagging", "forest")


def fit(family: str, data: Dataset, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable = iter) -> Any:
    """Fit one family on some rows of the table.

    Parameters
    ----------
    family : a name of `FAMILIES`
    data : Dataset
    rows : (n,) array of int; those that the models cannot label are left out
    recipe : Recipe
    seed : int
    progress : callable that wraps an iterable, such as tqdm
    """
    rows = rows[data.trainable[rows]]
    return FAMILIES[family](recipe).fit(data, rows, recipe, seed, progress)


class Several:
    """Several models of a family, each for some of the spectra; `choose` gives the number of the model for each row."""

    reads = "magnitude"

    def __init__(self, models: dict[int, Any], choose: Callable[[np.ndarray], np.ndarray]):
        self.models, self.choose = models, choose

    def predict(self, x: np.ndarray) -> np.ndarray:
        out = np.full((len(x), len(CLASSES)), 1 / len(CLASSES))  # for an absorber that training never met
        which = self.choose(x)
        for number, model in self.models.items():
            rows = which == number
            if rows.any():
                out[rows] = model.predict(x[rows])
        return out


def fit_per_k_range(family: str, data: Dataset, rows: np.ndarray, recipe: Recipe, seed: int) -> Several:
    """As `fit`, one model for short data and one for long."""
    low, high = features.KMAX_RANGE
    ranges = ((low, SHORT), (SHORT, high))
    recipes = [replace(recipe, augmentation=replace(recipe.augmentation, kmax=limits)) for limits in ranges]
    models = {i: fit(family, data, rows, own, seed) for i, own in enumerate(recipes)}
    return Several(models, lambda x: (features.kmax_of(x) > SHORT).astype(int))


def fit_per_absorber(family: str, data: Dataset, rows: np.ndarray, recipe: Recipe, seed: int) -> Several:
    """As `fit`, one model for each absorber, as in the paper."""
    smaller = replace(recipe, hidden=(256, 128))
    own = {e: rows[data.elements[rows] == e] for e in np.unique(data.elements[rows])}
    models = {
        features.ELEMENTS.index(element): fit(family, data, those, smaller, seed)
        for element, those in own.items()
        if data.trainable[those].any()
    }
    return Several(models, features.absorber_of)


def probabilities(models: Iterable[tuple[str, Any]], chi, elements, kmax, kend) -> dict[str, np.ndarray]:
    """Each model's distribution for the same spectra; features of one kind are made once."""
    made: dict[str, np.ndarray] = {}
    out = {}
    for name, model in models:
        if model.reads not in made:
            made[model.reads] = features.from_chi(model.reads, chi, elements, kmax, kend)
        out[name] = model.predict(made[model.reads])
    return out
