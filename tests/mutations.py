"""Faults planted on purpose, one at a time, in a copy of the checkout: for each of them a test must go red.

    python tests/mutations.py [WORD ...]     all of them, or those whose name holds one of the words

Prints which test found which fault. The exit status is 1 where a fault was not found, where its place is not there any
more, or where the tests fail without any fault.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fault:
    """One line of the code made wrong, and the tests that have to notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


LEARN, REPORT, SPECTRA = "tests/build_models/learn", "tests/build_models/report", "tests/build_models/spectra"
PREDICT = "tests/larch_cnpredict"
FAULTS = (
    Fault(
        "accuracy is 1",
        "build_models/report/scores.py",
        '"accuracy": float(right.mean()),',
        '"accuracy": 1.0,',
        f"{REPORT}/test_scores.py",
    ),
    Fault(
        "training on the test fold",
        "build_models/report/evaluate.py",
        "np.flatnonzero((fold != i) & this.data.trainable)",
        "np.flatnonzero(this.data.trainable)",
        f"{REPORT}/test_evaluate.py",
    ),
    Fault(
        "calibration sees the test fold",
        "build_models/learn/calibrate.py",
        "np.flatnonzero(fold == i), np.flatnonzero(fold != i)",
        "np.flatnonzero(fold == i), np.arange(len(p))",
        f"{LEARN}/test_calibrate.py",
    ),
    Fault(
        "the majority sees its own fold",
        "build_models/report/scores.py",
        "others = (fold != i) & (data.elements == element)",
        "others = data.elements == element",
        f"{REPORT}/test_scores.py",
    ),
    Fault(
        "five points more on the card",
        "build_models/report/card.py",
        'f"{100 * value:.1f}"',
        'f"{100 * value + 5:.1f}"',
        f"{REPORT}/test_card.py",
    ),
    Fault(
        "measured compounds all right",
        "build_models/report/measured.py",
        '"exact": float(np.mean(list(exact.values()))),',
        '"exact": 1.0,',
        f"{REPORT}/test_measured.py",
    ),
    Fault(
        "the baseline of composition sees its own fold",
        "build_models/learn/composition.py",
        "np.flatnonzero((fold != i) & data.trainable)",
        "np.flatnonzero(data.trainable)",
        f"{REPORT}/test_evaluate.py",
    ),
    Fault(
        "structure types are split as formulas are",
        "build_models/run.py",
        '"prototype": self.data.prototypes',
        '"prototype": self.data.formulas',
        f"{REPORT}/test_evaluate.py",
    ),
    Fault(
        "thresholds for 80 % where 90 % is said",
        "build_models/learn/calibrate.py",
        "COVERAGE = 0.90",
        "COVERAGE = 0.80",
        f"{LEARN}/test_calibrate.py",
    ),
    Fault(
        "real and imaginary part change places",
        "larch_cnpredict/features.py",
        "np.abs(values), values.real, values.imag",
        "np.abs(values), values.imag, values.real",
        f"{PREDICT}/test_features.py",
    ),
    Fault(
        "windows go on where the data have ended",
        "larch_cnpredict/features.py",
        "np.asarray(kend)[:, None] + KSTEP / 4 > K_GRID",
        "np.asarray(kend)[:, None] + 100 > K_GRID",
        f"{PREDICT}/test_features.py",
    ),
    Fault(
        "any window counts as that of training",
        "larch_cnpredict/transform.py",
        "same = all(args[key] == value for key, value in _TRAINING.items())",
        'same = all(args[key] == value for key, value in _TRAINING.items() if key != "window")',
        f"{PREDICT}/test_spectrum.py",
    ),
    Fault(
        "the least probable number is the label",
        "build_models/data/labels.py",
        "cn = max(weights, key=lambda n: weights[n])",
        "cn = min(weights, key=lambda n: weights[n])",
        "tests/build_models/data/test_labels.py",
    ),
    Fault(
        "nothing is out of domain",
        "larch_cnpredict/domain.py",
        "for name, value in measured.items() if value > 1]",
        "for name, value in measured.items() if value > 1e9]",
        f"{PREDICT}/test_predict.py",
    ),
    Fault(
        "E0 moves the other way",
        "build_models/spectra/augment.py",
        "K_GRID**2 - e0_shift[:, None]",
        "K_GRID**2 + e0_shift[:, None]",
        f"{SPECTRA}/test_augment.py",
    ),
    Fault(
        "spectra are mixed across folds",
        "build_models/spectra/copies.py",
        "np.column_stack([data.mixing_groups, apart])",
        "np.column_stack([data.mixing_groups, 0 * apart])",
        f"{SPECTRA}/test_augment.py",
    ),
    Fault(
        "the shipped network is not clipped",
        "build_models/learn/onnx_graph.py",
        "graph.constant(-largest), graph.constant(largest)",
        "graph.constant(-1e9), graph.constant(1e9)",
        f"{LEARN}/test_families.py",
    ),
    Fault(
        "damaged models are believed",
        "larch_cnpredict/models.py",
        'if hashlib.sha256(content).hexdigest() != entry["sha256"]:',
        "if False:",
        f"{PREDICT}/test_models.py",
    ),
    Fault(
        "a prediction set of one",
        "larch_cnpredict/uncertainty.py",
        "p >= np.minimum(threshold, p.max())",
        "p >= p.max()",
        f"{LEARN}/test_calibrate.py",
    ),
    Fault(
        "samples of the test fold in training",
        "build_models/report/samples.py",
        "train_spectra, np.flatnonzero(fold != i), test",
        "train_spectra, np.flatnonzero(fold >= 0), test",
        f"{REPORT}/test_samples.py",
    ),
    Fault(
        "samples are mixed across folds",
        "build_models/spectra/samples.py",
        "np.unique(data.elements, return_inverse=True)[1], apart])",
        "np.unique(data.elements, return_inverse=True)[1], 0 * apart])",
        f"{SPECTRA}/test_samples.py",
    ),
    Fault(
        "intervals of the mean as the networks claim them",
        "build_models/learn/samples.py",
        "enough.argmax()",
        "enough.argmax() * 0",
        f"{LEARN}/test_samples.py",
    ),
)  # fmt: skip


def main(words: list[str]) -> int:
    faults = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="mutations-") as scratch:
        copies: Queue[Path] = Queue()
        for number in range(workers):
            copies.put(_copy(Path(scratch) / str(number)))
        failed, said = _pytest(Path(scratch) / "0", " ".join(sorted({fault.tests for fault in faults})))
        if failed:
            print(f"the tests fail without any fault:\n{said[-4000:]}")
            return 1
        with ThreadPoolExecutor(workers) as threads:
            results = list(threads.map(lambda fault: _plant(fault, copies), faults))
    return 1 if False in results else 0


def _copy(folder: Path) -> Path:
    """What git knows of, as it is now; the models are linked, for no fault is planted in them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file() and not name.startswith("plugin_data/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "plugin_data").symlink_to(ROOT / "plugin_data")
    return folder


def _plant(fault: Fault, copies: Queue) -> bool:
    """Whether the tests notice."""
    folder = copies.get()
    path = folder / fault.file
    text = path.read_text()
    try:
        if text.count(fault.right) != 1:
            print(f"{fault.name}: its place is not there once in {fault.file}: {fault.right}", flush=True)
            return False
        path.write_text(text.replace(fault.right, fault.wrong))
        failed, said = _pytest(folder, fault.tests)
        (by,) = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.M)[:1] or ["NOT FOUND"]
        print(f"{fault.name:48s} {by.split('::')[-1]}", flush=True)
        return failed
    finally:
        path.write_text(text)
        copies.put(folder)


def _pytest(folder: Path, tests: str) -> tuple[bool, str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "-p", "no:cacheprovider", *tests.split()]
    clean = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: a test failed; all else is no verdict
        raise RuntimeError(f"pytest ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.returncode == 1, done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
