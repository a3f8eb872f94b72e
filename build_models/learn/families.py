"""The kinds of model, and how each is fitted to augmented spectra.

`network`, `bagging` and `forest` are the paper's three and read |chi(R)| alone. So does `shells`, convolutional
networks; `phase` are such networks that also read real and imaginary part at three k weights, where there is chi(k).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from build_models.learn import onnx_graph
from build_models.learn.networks import Convolutional, descend, fully_connected
from build_models.spectra.augment import IDEAL, NEAR_IDEAL, Augmentation
from build_models.spectra.copies import Compositions, Copies
from build_models.spectra.dataset import CLASSES
from larch_cnpredict import features

# Small batches, so many steps: with 256, the convolutional network needs twice the epochs for the same loss.
BATCH = {"connected": 128, "convolutional": 64}


@dataclass(frozen=True)
class Recipe:
    """How training spectra are made and how long the models see them."""

    augmentation: Augmentation = field(default_factory=lambda: Augmentation(ideal=0.15))
    sharpness: float = 2.0  # of the labels, see `copies.make`
    spectra: int = 20  # augmented copies of each site; networks go through them one an epoch, and begin again
    epochs: int = 20
    phase_epochs: int = 26  # of `phase`, which learns from the most sites
    members: int = 4  # networks that `shells` and `phase` average
    precision: str = "bfloat16"  # of the products in networks: a fifth less time where the processor has it, as good
    copies: int = 2  # of the augmented, that the trees see
    trees: int = 24
    bagged_trees: int = 16
    bagged_share: float = 0.15  # of the spectra, that each of these trees sees
    leaf: int = 12  # augmented spectra in a leaf of a tree at least
    hidden: tuple[int, int] = (512, 256)
    dropout: float = 0.3


# The paper's: ideal spectra, one label each, trees to the last leaf, a model for each absorber.
PAPER = Recipe(
    augmentation=IDEAL, sharpness=100.0, spectra=1, epochs=30, copies=1, trees=100, bagged_trees=24, bagged_share=1.0,
    leaf=1, hidden=(256, 128),
)  # fmt: skip

# `phase` for ideal spectra alone, to compare with the paper in its own measure.
IDEAL_PHASE = replace(PAPER, augmentation=NEAR_IDEAL, spectra=8, phase_epochs=16, members=2)


# Sites of single scattering are drawn the less often, the more there are with as many neighbours of the same elements:
# by this power of how many they are, or of so many where they are fewer.
COMMON, FEWEST = -0.3, 20


# Of scaled inputs, in standard deviations. FEFF's spectrum of one site in thousands is off by a hundred, and near the
# end of an epoch it spoils the norms. It keeps users' odd spectra in bounds as well.
LARGEST = 15.0


class Network:
    """Networks of one kind whose distributions are averaged: the paper's, or `Convolutional`."""

    classes = CLASSES

    def __init__(
        self, reads: str, kind: str, members: int, heads: tuple[int, ...] = (len(CLASSES),), hidden: int = 384
    ):
        self.reads, self.kind, self.members, self.heads, self.hidden = reads, kind, members, heads, hidden
        self.nets: list[torch.nn.Module] = []

    def fit(self, copies: Copies | Compositions, rows: np.ndarray, recipe: Recipe, seed: int) -> "Network":
        torch.manual_seed(seed)
        torch.set_num_threads(1)  # a second thread gains a tenth with matrices this small, and loses far more waiting
        kinds = np.full(len(rows), -1) if copies.single is None else copies.single[rows]
        usual, single, kinds = rows[kinds < 0], rows[kinds >= 0], kinds[kinds >= 0]
        odds = np.maximum(np.bincount(kinds)[kinds], FEWEST) ** COMMON
        more, rng = min(len(single), len(usual)), np.random.default_rng(seed)
        sample = copies.inputs(self.reads, 0, usual)
        self.center, spread = sample.mean(0), sample.std(0)
        self.scale = np.where(spread > 0, spread + 1e-3, np.inf)  # an element that training never met says nothing
        n_in = sample.shape[1]
        for _ in range(self.members):
            if self.kind == "convolutional":
                self.nets.append(Convolutional(n_in, self.reads, sum(self.heads), self.hidden))
            else:
                self.nets.append(fully_connected(n_in, recipe.hidden, recipe.dropout))
        parameters = [p for net in self.nets for p in net.parameters()]

        def seen(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
            """As many of single scattering as of all others, other ones in each epoch."""
            drawn = rng.choice(single, more, replace=False, p=odds / odds.sum()) if more else single
            now = np.concatenate([usual, np.sort(drawn)])
            return self._scaled(copies.inputs(self.reads, epoch, now)), torch.from_numpy(copies.labels(epoch, now))

        def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                outputs = [net(x) for net in self.nets]
            return sum(-(y * self._by_head(torch.log_softmax, out.float())).sum(1).mean() for out in outputs)  # type: ignore[return-value]

        batches = -(-(len(usual) + more) // BATCH[self.kind])
        x = descend(parameters, seen, loss, recipe.epochs, batches, 2e-3, 0.01)
        for net in self.nets:  # norms by a whole epoch: torch's running means are those of the last few batches
            torch.optim.swa_utils.update_bn(x.split(BATCH[self.kind]), net)
            net.eval()
            # weights ship in half precision, half as large, so they are rounded here and not there
            halves = {name: value.half() for name, value in net.state_dict().items() if value.ndim > 1}
            net.load_state_dict(net.state_dict() | halves)  # norms and counts stay as they are
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        scaled = self._scaled(x)
        with torch.no_grad():
            return torch.stack([self._by_head(torch.softmax, net(scaled)) for net in self.nets]).mean(0).numpy()

    def _by_head(self, normalise: Callable, outputs: torch.Tensor) -> torch.Tensor:
        """Each head is a distribution of its own."""
        return torch.cat([normalise(head, 1) for head in outputs.split(self.heads, 1)], 1)

    def _scaled(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((x - self.center) / self.scale).astype(np.float32)).clamp(-LARGEST, LARGEST)

    def onnx(self) -> onnx.ModelProto:
        return onnx_graph.networks(self.nets, self.center, self.scale, LARGEST, self.heads)


class Trees:
    """Bagged trees or a random forest on augmented copies, their labels drawn from CrystalNN's distribution."""

    reads = "magnitude"

    def __init__(self, kind: str):
        self.kind = kind

    def fit(self, copies: Copies, rows: np.ndarray, recipe: Recipe, seed: int) -> "Trees":
        rng = np.random.default_rng(seed)
        xs, ys = [], []
        for copy in range(recipe.copies):
            xs.append(copies.inputs(self.reads, copy, rows))
            cumulative = copies.labels(copy, rows).cumsum(1)
            draw = rng.random((len(rows), 1)) * cumulative[:, -1:]
            ys.append(CLASSES[np.minimum((cumulative < draw).sum(1), len(CLASSES) - 1)])
        if self.kind == "forest":
            self.model = RandomForestClassifier(recipe.trees, min_samples_leaf=recipe.leaf, random_state=seed)
        else:
            tree = DecisionTreeClassifier(min_samples_leaf=recipe.leaf)
            share = recipe.bagged_share
            self.model = BaggingClassifier(tree, recipe.bagged_trees, max_samples=share, random_state=seed)
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
        return onnx_graph.trees(self.model)


FAMILIES: dict[str, Callable[[Recipe], Any]] = {
    "network": lambda recipe: Network("magnitude", "connected", 1),
    "bagging": lambda recipe: Trees("bagging"),
    "forest": lambda recipe: Trees("forest"),
    "shells": lambda recipe: Network("magnitude", "convolutional", recipe.members),
    "phase": lambda recipe: Network("complex", "convolutional", recipe.members),
}
# Networks that read compositions alone: 'formula' knows the amounts, 'elements' does not. They learn from every site
# with a label: what has no run of FEFF has its formula.
BY_COMPOSITION = ("formula", "elements")
MEMBERS, EPOCHS, DROPOUT = 2, 24, 0.1
PAPER_FAMILIES = ("network", "bagging", "forest")
# Learn from the extra sites too; the others stay what the paper has, and what answers where there is no chi(k).
LEARN_EXTRA = ("phase",)
LONGEST = ("phase", "shells")  # to fit, and so what is begun with


def fit(family: str, copies: Copies | Compositions, rows: np.ndarray, recipe: Recipe, seed: int) -> Any:
    """Fit one of `FAMILIES`, or of `BY_COMPOSITION`, on some rows of the table."""
    if family in BY_COMPOSITION:
        recipe = replace(recipe, epochs=EPOCHS, dropout=DROPOUT)
        return Network(family, "connected", MEMBERS).fit(copies, rows, recipe, seed)
    if family in LEARN_EXTRA:
        recipe = replace(recipe, epochs=recipe.phase_epochs)
    return FAMILIES[family](recipe).fit(copies, rows, recipe, seed)


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
    which = features.absorber_of(copies.inputs("magnitude", 0, rows))
    return PerAbsorber({int(i): fit(family, copies, rows[which == i], recipe, seed) for i in np.unique(which)})
