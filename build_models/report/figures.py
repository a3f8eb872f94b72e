"""The two pictures of a model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from build_models.spectra.dataset import CLASSES, Dataset
from larch_cnpredict.features import ELEMENTS, R_POOLED

SHOWN = np.arange(1, 15)  # coordination numbers of the confusion matrices


def confusion(data: Dataset, p: np.ndarray, path: Path) -> None:
    """Confusion matrices, one for each absorber, rows normalised."""
    figure = Figure(figsize=(17, 7.5), layout="tight")
    axes = figure.subplots(2, 5, sharex=True, sharey=True)
    for ax, element in zip(axes.flat, ELEMENTS, strict=True):
        rows = data.elements == element
        ax.set_title(f"{element} ({rows.sum()} sites)")
        ax.set_xticks(SHOWN - 1, SHOWN, fontsize=7)
        ax.set_yticks(SHOWN - 1, SHOWN, fontsize=7)
        if not np.isin(data.cn[rows], SHOWN).any():
            continue
        counts = confusion_matrix(data.cn[rows], CLASSES[p[rows].argmax(1)], labels=SHOWN)
        ax.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        for i, j in zip(*np.nonzero(counts), strict=True):
            ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=5.5)
    figure.supxlabel("predicted coordination number")
    figure.supylabel("CrystalNN")
    figure.savefig(path, dpi=90)


def importance(models: Mapping[str, Any], path: Path) -> None:
    """Gini importance over R of both tree families."""
    figure = Figure(figsize=(7, 3.5), layout="tight")
    ax = figure.subplots()
    for name in ("bagging", "forest"):
        gini = models[name].gini()[: len(R_POOLED)]
        below = gini[R_POOLED < 3].sum() / max(gini.sum(), 1e-9)  # no tree may have split
        ax.plot(R_POOLED, gini, label=f"{name}: {below:.0%} below 3 Å")
    ax.set(xlabel="R (Å)", ylabel="Gini importance", xlim=(0, 6), ylim=(0, None))
    ax.legend(frameon=False)
    figure.savefig(path, dpi=100)
