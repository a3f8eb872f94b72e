"""The networks: convolutions along R, and the paper's fully connected one."""

from collections.abc import Callable, Iterable

import torch

from build_models.spectra.dataset import CLASSES
from larch_cnpredict import features


class Convolutional(torch.nn.Module):
    """Convolutions along R, then two layers with the absorber.

    Over |chi(R)|, or over magnitude, real and imaginary part at each k weight. What a shell looks like hardly depends
    on where it lies, so weights are shared along R.
    """

    WIDTH, DROPOUT = 32, 0.1  # so little dropout, for it does not overfit what is new in each copy

    def __init__(self, n_in: int, reads: str, n_out: int, hidden: int):
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
            torch.nn.Linear(2 * w * length + extra, hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(self.DROPOUT),
            torch.nn.Linear(hidden, n_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        split = self.channels * self.length
        image = x[:, :split].reshape(-1, self.channels, 1, self.length)
        shells = self.conv(image.contiguous(memory_format=torch.channels_last)).flatten(1)
        return self.head(torch.cat([shells, x[:, split:]], 1))


def descend(
    parameters: Iterable[torch.nn.Parameter],
    seen: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    epochs: int,
    batches: int,
    rate: float,
    decay: float,
) -> torch.Tensor:
    """Fit parameters to what is `seen` in each epoch, inputs and truth, in so many batches; the last inputs."""
    optimizer = torch.optim.AdamW(parameters, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    for epoch in range(epochs):
        x, y = seen(epoch)
        for rows in torch.randperm(len(x)).tensor_split(batches):
            optimizer.zero_grad()
            loss(x[rows], y[rows]).backward()
            optimizer.step()
            schedule.step()
    return x


def fully_connected(n_in: int, hidden: Iterable[int], dropout: float) -> torch.nn.Sequential:
    """The paper's network: hidden layers, each ReLU and dropout."""
    layers: list[torch.nn.Module] = []
    for n in hidden:
        layers += [torch.nn.Linear(n_in, n), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
        n_in = n
    return torch.nn.Sequential(*layers, torch.nn.Linear(n_in, len(CLASSES)))
