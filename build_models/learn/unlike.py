"""The small network of `larch_cnpredict.domain` that tells EXAFS from what only looks like it."""

from itertools import pairwise

import numpy as np
import torch

from build_models.spectra.augment import Augmentation, augment
from build_models.spectra.counterexamples import counterexamples
from build_models.spectra.dataset import Dataset
from larch_cnpredict import domain, features

HIDDEN = (256, 64)
COPIES = 8  # of each site, as many counterexamples beside them
EPOCHS = 12
BATCH = 512


def fit(data: Dataset, rng: np.random.Generator, how: Augmentation, seed: int) -> dict[str, np.ndarray]:
    """The weights, as `domain.unlike_exafs` reads them; `how` is what happens to spectra on the way to the user."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    copies = [_copy(data, rng, how) for _ in range(COPIES)]
    exafs = copies[0][: len(data)].astype(np.float32)
    arrays = {"unlike_center": exafs.mean(0), "unlike_scale": exafs.std(0) + np.float32(0.02)}
    sizes = [exafs.shape[1], *HIDDEN, 1]
    linear = [torch.nn.Linear(*ends) for ends in pairwise(sizes)]
    net = torch.nn.Sequential(linear[0], torch.nn.ReLU(), torch.nn.Dropout(0.1), linear[1], torch.nn.ReLU(), linear[2])
    wrong = torch.arange(2 * len(data)) >= len(data)
    batches = -(-len(wrong) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=EPOCHS * batches)
    for epoch in range(EPOCHS):
        x = torch.from_numpy(domain.unlike_inputs(copies[epoch % COPIES].astype(np.float32), arrays))
        for batch in torch.randperm(len(x)).tensor_split(batches):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x[batch])[:, 0], wrong[batch].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    for i, layer in enumerate(linear):
        arrays |= {f"unlike_weight{i}": layer.weight.detach().numpy(), f"unlike_bias{i}": layer.bias.detach().numpy()}
    return arrays


def _copy(data, rng, how):
    """Each site once, then as many counterexamples; half precision, for all copies are in memory."""
    good = augment(data, np.arange(len(data)), rng, how)
    bad, elements, kmax, kend = counterexamples(data, len(data), rng, how)
    parts = [(good[0], data.elements, *good[1:]), (bad, elements, kmax, kend)]
    return np.vstack([inputs(*part) for part in parts]).clip(-6e4, 6e4).astype(np.float16)


def inputs(chi: np.ndarray, elements: np.ndarray, kmax: np.ndarray, kend: np.ndarray) -> np.ndarray:
    """`features.complex_features` of many spectra, a part at a time."""
    parts = [slice(i, i + 4000) for i in range(0, len(chi), 4000)]
    return np.vstack([features.complex_features(chi[p], list(elements[p]), kmax[p], kend[p]) for p in parts])
