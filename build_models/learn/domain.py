"""What `larch_cnpredict.domain` needs: principal components, the index of known sites, thresholds."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from sklearn.decomposition import PCA

from build_models.learn.networks import descend
from build_models.spectra.augment import Augmentation, augment
from build_models.spectra.counterexamples import counterexamples
from build_models.spectra.dataset import Dataset, folds
from build_models.spectra.samples import in_the_beam
from larch_cnpredict import domain, features

# Of held-out materials' augmented spectra, so many are flagged by each measure.
FLAGGED = 0.005
# By `domain.unlike_exafs` more, for it counts against confident answers alone, and most of these spectra have none.
UNLIKE_FLAGGED = 0.02
# Share of spectra with e0 on a pre-edge peak, for what is unlike EXAFS: with that of training tetrahedra are flagged.
PRE_EDGE = 0.5
TINY = 1e-3  # a table of a few sites can have all thresholds 0
# The index holds each site once, as it looks at a beamline on a good day.
TYPICAL = Augmentation(
    noise=(1e-4, 2e-4), residue=0.0, glitches=0.0, e0_shift=(3.0, 0.0), pre_edge=(0.0, 0.0), stretch=(-0.01, 0.0),
    s02=(0.78, 0.0), over_absorption=0.0, kmax=(12, 12),
)  # fmt: skip
# The small network that tells EXAFS from what only looks like it.
HIDDEN = (256, 64)
COPIES = 24  # of each site, as many counterexamples beside them
EPOCHS = 24
# Every second copy is as samples are: metals by their own Debye temperatures, half of all cold. And of the few metals
# that are no alloys, foils, there are more, as among what people measure: without that cold ones are flagged.
FOILS, COLD = 20, 0.5
BATCH = 512


def fit(data: Dataset, augmentation: Augmentation, seed: int) -> dict[str, np.ndarray]:
    """The arrays of domain.npz.

    The components are fitted to all materials; the thresholds are quantiles over a fifth of the materials, measured
    against an index of the others. What is unlike EXAFS is learnt from these others alone.
    """
    rng = np.random.default_rng(seed)
    data = data.take(np.flatnonzero(data.trainable))
    typical, _ = _magnitudes(data, rng, TYPICAL)
    realistic, spectra = _magnitudes(data, rng, replace(augmentation, ideal=0.0))
    n_components = min(domain.N_COMPONENTS, len(data) // 2)
    pca = PCA(n_components, random_state=seed).fit(domain.shape(np.vstack([typical, realistic])))
    arrays = {"center": pca.mean_.astype(np.float32), "components": pca.components_.astype(np.float32)}
    index, _ = domain.coordinates(typical, arrays)
    arrays |= {
        "index": index.astype(np.float16),
        "element": np.array([features.ELEMENTS.index(e) for e in data.elements], dtype=np.int8),
        "cn": data.cn.astype(np.int8),
        "site": data.sites,
        "formula": data.formulas,
        "shell": data.shell,
    }
    held_out = folds(data.formulas, 5, seed) == 0
    arrays |= fit_unlike(data, augmentation, seed)
    return arrays | _thresholds(data, held_out, realistic, spectra, arrays)


def fit_unlike(data: Dataset, augmentation: Augmentation, seed: int) -> dict[str, np.ndarray]:
    """What is unlike EXAFS, with its threshold: those of the arrays of domain.npz that `domain.unlike_exafs` reads."""
    rng = np.random.default_rng([seed, 1])
    data = data.take(np.flatnonzero(data.trainable))
    held_out = folds(data.formulas, 5, seed) == 0
    often = replace(augmentation, ideal=0.0, pre_edge=(PRE_EDGE, augmentation.pre_edge[1]))
    seen = np.flatnonzero(~held_out) if not held_out.all() else np.arange(len(data))
    foils = seen[np.isin(data.formulas[seen], features.ELEMENTS)]
    learnt = data.take(np.append(seen, np.repeat(foils, FOILS)))
    arrays = _fit_unlike(learnt, rng, (often, replace(in_the_beam(often), cold=COLD)), seed)
    chi, *limits = augment(data, np.flatnonzero(held_out), rng, often)
    x = features.complex_features(chi, data.elements[held_out], *limits)
    arrays["unlike"] = np.quantile(domain.unlike_exafs(x, arrays), [1 - UNLIKE_FLAGGED]).astype(np.float32)[0]
    return arrays


def _magnitudes(data: Dataset, rng: np.random.Generator, how: Augmentation):
    chi, kmax, kend = augment(data, np.arange(len(data)), rng, how)
    magnitude = np.abs(features.chir(chi, features.windows(kmax, kend), 2))
    return features.pooled(features.larch_r(), magnitude), (chi, kmax, kend)


def _thresholds(data, held_out, realistic, spectra, arrays):
    components, residual = domain.coordinates(realistic[held_out], arrays)
    rest = {name: arrays[name][~held_out] for name in ("index", "element")}
    distance = np.zeros(len(components))
    for element in np.unique(arrays["element"]):
        rows = arrays["element"][held_out] == element
        if rows.any() and (rest["element"] == element).any():
            distance[rows] = domain.nearest(components[rows], rest, element, 1)[1][:, 0]
    chi, kmax, kend = spectra
    magnitudes = np.abs(features.chir(chi, features.windows(kmax, kend), 2, r_max=domain.NOISE_R[1]))
    r = features.larch_r(domain.NOISE_R[1])
    measured = np.array([domain.peak_and_noise(r, row) for row in magnitudes])
    high = 1 - FLAGGED
    return {
        "distance": np.float32(max(np.quantile(distance, high), TINY)),
        "residual": np.float32(max(np.quantile(residual, high), TINY)),
        "noise": np.float32(max(np.quantile(measured[:, 1], high), TINY)),
        "peak_range": np.array([_range(measured[data.elements == e, 0]) for e in features.ELEMENTS], dtype=np.float32),
    }


def _range(peaks: np.ndarray) -> tuple[float, float]:
    return tuple(np.quantile(peaks, [FLAGGED / 2, 1 - FLAGGED / 2]) * [0.7, 1.4]) if len(peaks) else (0.05, 30.0)


def _fit_unlike(
    data: Dataset, rng: np.random.Generator, ways: Sequence[Augmentation], seed: int
) -> dict[str, np.ndarray]:
    """The weights, as `domain.unlike_exafs` reads them; `ways` are what happens to spectra before a user has them."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    copies = [_copy(data, rng, ways[i % len(ways)]) for i in range(COPIES)]
    exafs = copies[0][: len(data)].astype(np.float32)
    arrays = {"unlike_center": exafs.mean(0), "unlike_scale": exafs.std(0) + np.float32(0.02)}
    sizes = [exafs.shape[1], *HIDDEN, 1]
    linear = [torch.nn.Linear(*ends) for ends in pairwise(sizes)]
    net = torch.nn.Sequential(linear[0], torch.nn.ReLU(), torch.nn.Dropout(0.1), linear[1], torch.nn.ReLU(), linear[2])
    wrong = torch.arange(2 * len(data)) >= len(data)

    def seen(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(domain.unlike_inputs(copies[epoch % COPIES].astype(np.float32), arrays)), wrong.float()

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)

    descend(net.parameters(), seen, loss, EPOCHS, -(-len(wrong) // BATCH), 3e-3, 0.02)
    for i, layer in enumerate(linear):
        arrays |= {f"unlike_weight{i}": layer.weight.detach().numpy(), f"unlike_bias{i}": layer.bias.detach().numpy()}
    return arrays


def _copy(data, rng, how):
    """Each site once, then as many counterexamples; half precision, for all copies are in memory."""
    good = augment(data, np.arange(len(data)), rng, how)
    bad, elements, kmax, kend, _ = counterexamples(data, len(data), rng, how)
    parts = [(good[0], data.elements, *good[1:]), (bad, elements, kmax, kend)]
    return np.vstack([features.complex_features(*part) for part in parts]).clip(-6e4, 6e4).astype(np.float16)
