"""The kinds of model: how each is fitted to augmented spectra, and its ONNX form.

`network`, `bagging` and `forest` are the paper's three and read |chi(R)| alone. So does `shells`, convolutional
networks; `phase` are such networks that also read real and imaginary part at three k weights, where there is chi(k).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from build_models.spectra.augment import IDEAL, NEAR_IDEAL, Augmentation
from build_models.spectra.copies import Copies
from build_models.spectra.dataset import CLASSES
from larch_cnpredict import features

# ai.onnx.ml 3 and opset 17 run on every onnxruntime that the package allows.
OPSETS = {"": 17, "ai.onnx.ml": 3}
# Small batches, so many steps: with 256, the convolutional network needs twice the epochs for the same loss.
BATCH = {"connected": 128, "convolutional": 64}
# Half precision takes a fifth less time where the processor has it. One random fold, one network, two seeds: 79.4 and
# 80.2 % of ideal spectra right with it, 79.8 and 79.5 % without.
HALF = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()


@dataclass(frozen=True)
class Recipe:
    """How training spectra are made and how long the models see them."""

    augmentation: Augmentation = field(default_factory=lambda: Augmentation(ideal=0.15))
    sharpness: float = 2.0  # of the labels, see `copies.make`
    spectra: int = 16  # augmented copies of each site; networks go through them one an epoch, and begin again
    epochs: int = 16
    members: int = 4  # networks that `shells` and `phase` average
    copies: int = 2  # of these, that the trees see
    trees: int = 40
    bagged_trees: int = 16
    hidden: tuple[int, int] = (512, 256)
    dropout: float = 0.3


# The paper's: ideal spectra, one label each.
PAPER = Recipe(augmentation=IDEAL, sharpness=100.0, spectra=1, epochs=30, copies=1, trees=100, bagged_trees=24)

# `phase` for ideal spectra alone, to compare with the paper in its own measure.
IDEAL_PHASE = replace(PAPER, augmentation=NEAR_IDEAL, spectra=8, epochs=16, members=2)


# Of scaled inputs, in standard deviations. FEFF's spectrum of one site in thousands is off by a hundred, and near the
# end of an epoch it spoils the norms (one fold, |chi(R)| alone, after three epochs in a row: 62, 29 and 63 % right).
# It keeps users' odd spectra in bounds as well.
LARGEST = 15.0


class Convolutional(torch.nn.Module):
    """Convolutions along R, then two layers with the absorber.

    Over |chi(R)|, or over magnitude, real and imaginary part at each k weight. What a shell looks like hardly depends
    on where it lies, so weights are shared along R.
    """

    WIDTH, HIDDEN, DROPOUT = 32, 384, 0.1  # so little dropout, for it does not overfit what is new in each copy

    def __init__(self, n_in: int, reads: str):
        super().__init__()
        self.channels = 3 * len(features.COMPLEX_KWEIGHTS) if reads == "complex" else 1
        self.length = len(features.R_POOLED)
        extra = n_in - self.channels * self.length
        w = self.WIDTH
        shape = ((self.channels, w, 7, 2), (w, w, 5, 1), (w, 2 * w, 5, 2), (2 * w, 2 * w, 3, 1), (2 * w, 2 * w, 3, 2))
        layers: list[torch.nn.Module] = []
        length = self.length
        for n, m, size, stride in shape:
            conv = torch.nn.Conv2d(n, m, (1, size), (1, stride), (0, size // 2))
            layers += [conv, torch.nn.BatchNorm2d(m), torch.nn.ReLU()]
            length = (length - 1) // stride + 1
        # two-dimensional, of height one: a third faster than torch's one-dimensional kind
        self.conv = torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = torch.nn.Sequential(
            torch.nn.Dropout(self.DROPOUT),
            torch.nn.Linear(2 * w * length + extra, self.HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Dropout(self.DROPOUT),
            torch.nn.Linear(self.HIDDEN, len(CLASSES)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        split = self.channels * self.length
        image = x[:, :split].reshape(-1, self.channels, 1, self.length)
        shells = self.conv(image.contiguous(memory_format=torch.channels_last)).flatten(1)
        return self.head(torch.cat([shells, x[:, split:]], 1))


def fully_connected(n_in: int, hidden: Iterable[int], dropout: float) -> torch.nn.Sequential:
    """The paper's network: hidden layers, each ReLU and dropout."""
    layers: list[torch.nn.Module] = []
    for n in hidden:
        layers += [torch.nn.Linear(n_in, n), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
        n_in = n
    return torch.nn.Sequential(*layers, torch.nn.Linear(n_in, len(CLASSES)))


class Network:
    """Networks of one kind whose distributions are averaged: the paper's, or `Convolutional`."""

    def __init__(self, reads: str, kind: str, members: int):
        self.reads, self.kind, self.members = reads, kind, members
        self.nets: list[torch.nn.Module] = []

    def fit(self, copies: Copies, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable) -> "Network":
        torch.manual_seed(seed)
        torch.set_num_threads(1)  # a second thread gains a tenth with matrices this small, and loses far more waiting
        sample = copies.inputs(self.reads, 0, rows)
        self.center, self.scale = sample.mean(0), sample.std(0) + 1e-3
        n_in = sample.shape[1]
        for _ in range(self.members):
            if self.kind == "convolutional":
                self.nets.append(Convolutional(n_in, self.reads))
            else:
                self.nets.append(fully_connected(n_in, recipe.hidden, recipe.dropout))
        parameters = [p for net in self.nets for p in net.parameters()]
        batches = -(-len(rows) // BATCH[self.kind])
        optimizer = torch.optim.AdamW(parameters, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=recipe.epochs * batches)
        for epoch in progress(range(recipe.epochs)):
            x = self._scaled(copies.inputs(self.reads, epoch, rows))
            y = torch.from_numpy(copies.labels(epoch, rows))
            for batch in torch.randperm(len(x)).tensor_split(batches):
                with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                    outputs = [net(x[batch]) for net in self.nets]
                losses = [-(y[batch] * torch.log_softmax(out.float(), 1)).sum(1).mean() for out in outputs]
                optimizer.zero_grad()
                sum(losses).backward()  # type: ignore[union-attr]
                optimizer.step()
                schedule.step()
        for net in self.nets:  # norms by a whole epoch: torch's running means are those of the last few batches
            torch.optim.swa_utils.update_bn(x.split(BATCH[self.kind]), net)
            net.eval()
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        scaled = self._scaled(x)
        with torch.no_grad():
            return torch.stack([torch.softmax(net(scaled), 1) for net in self.nets]).mean(0).numpy()

    def _scaled(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((x - self.center) / self.scale).astype(np.float32)).clamp(-LARGEST, LARGEST)

    @property
    def classes(self) -> np.ndarray:
        return CLASSES

    def onnx(self) -> onnx.ModelProto:
        """The graph, written directly: it is a few operators, and torch's exporter is a package of its own."""
        graph = _Graph()
        centered = graph.add("Sub", ["X", graph.constant(self.center)])
        scaled = graph.add("Div", [centered, graph.constant(self.scale)])
        scaled = graph.add("Clip", [scaled, graph.constant(-LARGEST), graph.constant(LARGEST)])
        outputs = []
        for net in self.nets:
            if isinstance(net, Convolutional):
                split, end = net.channels * net.length, len(self.center)
                shells = graph.add("Slice", [scaled, *map(graph.integers, ([0], [split], [1]))])
                shells = graph.add("Reshape", [shells, graph.integers([-1, net.channels, 1, net.length])])
                shells = graph.add("Flatten", [graph.layers(net.conv, shells)], axis=1)
                rest = graph.add("Slice", [scaled, *map(graph.integers, ([split], [end], [1]))])
                value = graph.layers(net.head, graph.add("Concat", [shells, rest], axis=1))
            else:
                value = graph.layers(net.children(), scaled)
            outputs.append(graph.add("Softmax", [value], axis=1))
        graph.nodes.append(helper.make_node("Mean", outputs, ["probabilities"]))
        return _model(graph.nodes, graph.constants, len(self.center), len(CLASSES))


class _Graph:
    """An ONNX graph as it grows."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.constants: list = []

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: Any, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def integers(self, values: list[int]) -> str:
        return self.constant(values, np.int64)

    def layers(self, layers: Iterable[torch.nn.Module], value: str) -> str:
        for layer in layers:
            if isinstance(layer, torch.nn.Linear):
                value = self.add("Gemm", [value, *map(self.constant, (layer.weight, layer.bias))], transB=1)
            elif isinstance(layer, torch.nn.Conv2d):
                pads, strides = [*layer.padding, *layer.padding], list(layer.stride)
                weights = map(self.constant, (layer.weight, layer.bias))
                value = self.add("Conv", [value, *weights], pads=pads, strides=strides)
            elif isinstance(layer, torch.nn.BatchNorm2d):
                numbers = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
                value = self.add("BatchNormalization", [value, *map(self.constant, numbers)], epsilon=layer.eps)
            elif isinstance(layer, torch.nn.ReLU):
                value = self.add("Relu", [value])
            elif not isinstance(layer, torch.nn.Dropout):
                raise TypeError(f"no ONNX form for {type(layer).__name__}")
        return value


class Trees:
    """Bagged trees or a random forest on augmented copies, their labels drawn from CrystalNN's distribution."""

    reads = "magnitude"

    def __init__(self, kind: str):
        self.kind = kind

    def fit(self, copies: Copies, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable) -> "Trees":
        rng = np.random.default_rng(seed)
        xs, ys = [], []
        for copy in progress(range(recipe.copies)):
            xs.append(copies.inputs(self.reads, copy, rows))
            cumulative = copies.labels(copy, rows).cumsum(1)
            draw = rng.random((len(rows), 1)) * cumulative[:, -1:]
            ys.append(CLASSES[np.minimum((cumulative < draw).sum(1), len(CLASSES) - 1)])
        leaf = 8 if recipe.copies > 1 else 1
        if self.kind == "forest":
            self.model = RandomForestClassifier(
                recipe.trees, max_features="sqrt", min_samples_leaf=leaf, random_state=seed
            )
        else:
            self.model = BaggingClassifier(
                DecisionTreeClassifier(min_samples_leaf=leaf),
                recipe.bagged_trees,
                max_samples=0.15 if recipe.copies > 1 else 1.0,
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
    "network": lambda recipe: Network("magnitude", "connected", 1),
    "bagging": lambda recipe: Trees("bagging"),
    "forest": lambda recipe: Trees("forest"),
    "shells": lambda recipe: Network("magnitude", "convolutional", recipe.members),
    "phase": lambda recipe: Network("complex", "convolutional", recipe.members),
}
PAPER_FAMILIES = ("network", "bagging", "forest")
LONGEST = ("phase", "shells")  # to fit, and so what is begun with


def fit(family: str, copies: Copies, rows: np.ndarray, recipe: Recipe, seed: int, progress: Callable = iter) -> Any:
    """Fit one family on some rows of the table.

    Parameters
    ----------
    family : a name of `FAMILIES`
    copies : Copies, the augmented spectra
    rows : (n,) array of int, sites that have a label
    recipe : Recipe
    seed : int
    progress : callable that wraps an iterable, such as tqdm
    """
    return FAMILIES[family](recipe).fit(copies, rows, recipe, seed, progress)


class PerAbsorber:
    """A model of its own for each absorber, as in the paper."""

    reads = "magnitude"

    def __init__(self, models: dict[int, Any]):
        self.models = models

    def predict(self, x: np.ndarray) -> np.ndarray:
        out = np.full((len(x), len(CLASSES)), 1 / len(CLASSES))  # for an absorber that training never met
        which = features.absorber_of(x)
        for number, model in self.models.items():
            rows = which == number
            if rows.any():
                out[rows] = model.predict(x[rows])
        return out


def fit_per_absorber(family: str, copies: Copies, rows: np.ndarray, recipe: Recipe, seed: int) -> PerAbsorber:
    """As `fit`, one model for each absorber."""
    smaller = replace(recipe, hidden=(256, 128))
    which = features.absorber_of(copies.inputs("magnitude", 0, rows))
    return PerAbsorber({int(i): fit(family, copies, rows[which == i], smaller, seed) for i in np.unique(which)})
