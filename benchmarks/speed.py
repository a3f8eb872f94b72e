#!/usr/bin/env python3
"""How long predicting takes, beside the naive way: forests loaded with joblib and a torch network.

    python benchmarks/speed.py [--repeat 5]

The naive models are trained here on 2,000 made-up spectra of one shell: small, so that the comparison favours the naive
way. Needs the [build] extra.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parent.parent / "examples" / "Cu_foil_liquid_nitrogen.dat"
GROUP = f"""
from larch.io import read_ascii
from larch.xafs import autobk, pre_edge, xftf
group = read_ascii({str(EXAMPLE)!r})
pre_edge(group)
autobk(group)
xftf(group, kmin=3, kmax=12, dk=1, window='hanning')
"""
NAIVE = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import speed
models = speed.naive_load({{folder!r}})
speed.naive_predict(models, group)
"""


def naive_train(folder: Path, seed: int = 1) -> None:
    """Two forests and a network as a first script would save them."""
    import joblib
    import torch
    from sklearn.ensemble import BaggingClassifier, RandomForestClassifier

    from larch_cnpredict.features import magnitude_features, transform

    rng = np.random.default_rng(seed)
    k = np.arange(0, 14, 0.05)
    cn = rng.integers(1, 13, 2000)
    r0, sigma2, phase = rng.uniform(1.8, 2.8, 2000), rng.uniform(0.003, 0.012, 2000), rng.uniform(-1, 1, 2000)
    x = []
    for n, distance, disorder, delta in zip(cn, r0, sigma2, phase, strict=True):
        amplitude = n * np.exp(-2 * disorder * k**2 - k / 5) / (k + 1) / distance**2
        chi = amplitude * np.sin(2 * k * distance - k / 2 + delta)
        r, magnitude = transform(k, chi + rng.normal(0, 1e-3, len(k)), 12.0)
        x.append(magnitude_features(r, magnitude[None], ["Cu"], np.array([12.0]))[0])
    features = np.array(x)
    for name, model in (
        ("forest", RandomForestClassifier(100, max_features="sqrt", random_state=seed)),
        ("bagging", BaggingClassifier(n_estimators=100, random_state=seed)),
    ):
        joblib.dump(model.fit(features, cn), folder / f"{name}.joblib")
    net = torch.nn.Sequential(
        torch.nn.Linear(features.shape[1], 512), torch.nn.ReLU(), torch.nn.Linear(512, 256), torch.nn.ReLU(),
        torch.nn.Linear(256, 12), torch.nn.Softmax(1),
    )  # fmt: skip
    torch.save(net, folder / "network.pt")


def naive_load(folder: str | Path) -> list[Callable]:
    """The three models as functions of features."""
    import joblib
    import torch

    net = torch.load(Path(folder) / "network.pt", weights_only=False)
    forests = [joblib.load(Path(folder) / f"{name}.joblib") for name in ("forest", "bagging")]
    return [*(forest.predict_proba for forest in forests), lambda x: net(torch.from_numpy(x)).detach().numpy()]


def naive_predict(models: list[Callable], group) -> list[np.ndarray]:
    """The distribution of each model for one group."""
    from larch_cnpredict.features import magnitude_features, transform

    r, magnitude = transform(group.k, group.chi, 12.0)
    x = magnitude_features(r, magnitude[None], ["Cu"], np.array([12.0]))
    return [model(x) for model in models]


def fresh(setup: str, timed: str, repeat: int) -> float:
    """Median seconds of some code in processes of their own, their set-up not counted."""
    code = f"import time\n{setup}\nstart = time.perf_counter()\n{timed}\nprint(time.perf_counter() - start)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    runs = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(repeat)]
    return statistics.median(float(run.split()[-1]) for run in runs)


def warm(call: Callable[[], object], repeat: int) -> float:
    """Median seconds of a call that has run before."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="fresh processes for each figure (5)")
    repeat = parser.parse_args().repeat
    from larch_cnpredict import predict_cn

    scope: dict = {}
    exec(GROUP, scope)
    group = scope["group"]
    thousand = [deepcopy(group) for _ in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        naive_train(Path(folder))
        models = naive_load(folder)
        load = NAIVE.format(folder=folder)
        rows = [
            ("import larch_cnpredict after larch", fresh("import larch", "import larch_cnpredict", repeat), None),
            (
                "import predict_cn after larch.xafs",
                fresh("import larch.xafs", "from larch_cnpredict import predict_cn", repeat),
                fresh("import larch.xafs", "import joblib, sklearn.ensemble, torch", repeat),
            ),
            (
                "first prediction in a fresh process",
                fresh(f"{GROUP}\nfrom larch_cnpredict import predict_cn", "predict_cn(group)", repeat),
                fresh(f"{GROUP}\nimport joblib, sklearn.ensemble, torch", load, repeat),
            ),
            ("warm call", warm(lambda: predict_cn(group), 100), warm(lambda: naive_predict(models, group), 20)),
            (
                "1,000 groups",
                warm(lambda: predict_cn(thousand), 1),
                10 * warm(lambda: [naive_predict(models, one) for one in thousand[:100]], 1),
            ),
        ]
    print(f"{'seconds':38s} {'here':>9s} {'naive':>9s} {'ratio':>7s}")
    for what, ours, naive in rows:
        print(f"{what:38s} {ours:9.4f}" + (f" {naive:9.4f} {naive / ours:7.1f}" if naive is not None else ""))


if __name__ == "__main__":
    main()
