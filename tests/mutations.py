"""Faults planted on purpose, one at a time, in a copy of the checkout: for each of them a test must go red.

    python tests/mutations.py [--passed] [WORD ...]     all of them, or those whose name holds one of the words

Prints which test found which fault. A run ends with the first test that is red: those that take seconds stand last in
their files. The exit status is 1 where a fault was not found, where its place is not there any more, or where the tests
fail without any fault (`--passed`: they have just been run, and do not).
"""

import argparse
import gc
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# What takes tests seconds to import: it is imported once, and each run of pytest is a fork of that process. Larch is
# not among it, for it reads its own folder's name when it is imported.
IMPORTED = [
    "h5py", "hdf5plugin", "lmfit", "matplotlib.pyplot", "onnx", "onnxruntime", "pandas", "pyarrow.parquet", "pydantic",
    "pymatgen.analysis.local_env", "pymatgen.core", "pytest", "scipy.interpolate", "scipy.optimize", "scipy.stats",
    "sklearn.ensemble", "sqlalchemy", "torch._dynamo", "xraydb",
]  # fmt: skip
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)


class Fault(NamedTuple):
    """A piece of a file made wrong, and which tests have to notice where it is not those of the file's own name."""

    name: str
    right: str
    wrong: str
    tests: str = ""


FAULTS = {
    "build_models/data/complexes.py": [
        Fault("chelates count once", "sum(LIGANDS[kind].donors for kind, _ in arms)", "len(arms)"),
        Fault("ligands in each other", "(apart < least).any() or behind", "behind"),
    ],
    "build_models/data/labels.py": [
        Fault("the least probable number is the label", "cn = max(weights", "cn = min(weights"),
    ],
    "build_models/data/particles.py": [
        Fault("sites stand for as many atoms each", "count / n)\n", "len(atoms) / most)\n"),
    ],
    "build_models/data/structures.py": [
        Fault("made-up sites are known by their names", 'f"{name} {content}"', "name", "test_defects.py"),
    ],
    "build_models/learn/calibrate.py": [
        Fault("calibration sees the test fold", "== i), np.flatnonzero(fold != i)", "== i), np.arange(len(p))"),
        Fault(
            "cn_set_each without cn_set", 'np.minimum(fitted["each"], thresholds)', 'fitted["each"] + 0 * thresholds'
        ),
        Fault("thresholds for 80 % where 90 % is said", "COVERAGE = 0.90", "COVERAGE = 0.80"),
    ],
    "build_models/learn/families.py": [
        Fault("the same single scattering in each epoch", "if more else single", "if False else single[:more]"),
        Fault("common kinds as often as they come", "p=odds / odds.sum()", "p=None"),
        Fault("elements never met are heard", "1e-3, np.inf", "1e-3, 1e-3"),
    ],
    "build_models/learn/onnx_graph.py": [
        Fault("the shipped network is not clipped", "(largest)", "(1e9)", "test_families.py"),
    ],
    "build_models/learn/samples.py": [
        Fault("intervals of the mean as the networks claim them", "enough.argmax()", "enough.argmax() * 0"),
        Fault("intervals are for single sites first", "counts = 1 / np", "counts = 1 + 0 * np"),
        Fault(
            "learnt as high as it comes",
            "fit(Told(**vars(spectra)), rows",
            "fit(spectra, rows",
            "report/test_samples.py",
        ),
    ],
    "build_models/learn/shells.py": [
        Fault("cations beyond anions are neighbours", "else symbol in names for", "else True for"),
        Fault("second shells as far off as they may be", "NEXT = 1.25", "NEXT = 1.5"),
        Fault("a site is known by its formula", '["formula"] != alike["formula"][i]', '["element"] == key[0]'),
    ],
    "build_models/learn/train.py": [
        Fault("training on the test fold", "(one.learns & seen)", "(one.learns)", "test_evaluate.py"),
        Fault("samples of the test fold in training", "(one.learns & seen)", "(one.learns)", "report/test_samples.py"),
        Fault(
            "the unseen in what is unseen",
            '"unseen" if unseen else',
            '"shipped" if unseen else',
            "report/test_samples.py",
        ),
        Fault("particles half held out", "(fold != i).all(1)", "(fold != i).any(1)", "report/test_samples.py"),
    ],
    "build_models/report/card.py": [
        Fault("five points more on the card", 'f"{100 * value:.1f}"', 'f"{100 * value + 5:.1f}"'),
    ],
    "build_models/report/confirm.py": [
        Fault("misled though it is said to be several", "(found == ONE) & ~answers.right", "~answers.right"),
        Fault("misled by two and more alone", "self.asked.number) <= 0.5", "self.asked.number) <= 1.5"),
        Fault("known structure types confirm", "np.isin(data.prototypes, list(types))", "False"),
        Fault("known formulas confirm", "np.isin(data.formulas, list(formulas))", "False"),
        Fault("answers as sure as their family", "with_sample(*one)", "one[0]"),
        Fault("foils may be said to be several", 'SINGLE = ("sites", "foils")', 'SINGLE = ("sites",)'),
        Fault("odds of a fold ship", "= fitted[NONE]", "= fitted[0]"),
        Fault("odds of the fold itself", "asked.fold != without) for", "asked.fold > -2) for"),
    ],
    "build_models/report/evaluate.py": [
        Fault("compositions know no extra site", "[kind], this.data.trainable", "[kind], this.learns()"),
    ],
    "build_models/report/export.py": [
        Fault("kept models do not learn shells", "arrays | shells.", "dict(arrays) or shells."),
    ],
    "build_models/report/measured.py": [
        Fault("measured compounds all right", '"exact": made.cn == cn', '"exact": True'),
        Fault("headlines that are means are numbers", "made.kind != ONE_SITE", "False"),
    ],
    "build_models/report/samples.py": [
        Fault("extra sites are tested", "np.where(this.tested[:, None], this.anchors.fold, -1)", "fold"),
    ],
    "build_models/report/scores.py": [
        Fault("some sites have the calibration error of all", "_error(p[rows], data.cn[rows])", "_error(p, data.cn)"),
        Fault("accuracy is 1", 'float(right.mean()),\n        "clear"', '1.0,\n        "clear"'),
        Fault("the majority sees its own fold", "(fold != i) & (elements == element)", "elements == element"),
    ],
    "build_models/report/warned.py": [
        Fault("what is flagged misleads", "for answer in answers if answer.in_domain", "for answer in answers"),
    ],
    "build_models/run.py": [
        Fault("types are split as formulas", '": self.data.prototypes', '": self.data.formulas', "test_evaluate.py"),
        Fault("single scattering is tested on", 'if name == "shipped" else', "if name else", "test_evaluate.py"),
        Fault(
            "what is unseen is mixed into the seen",
            'if name == "unseen" else',
            "if False else",
            "report/test_samples.py",
        ),
        Fault(
            "samples are mixed with what is held out", 'if test or name == "folds"', "if test", "report/test_samples.py"
        ),
        Fault("all folds where a few are asked for", "sample_folds or train.folds", "folds", "report/test_samples.py"),
    ],
    "build_models/spectra/augment.py": [
        Fault("E0 moves the other way", "K_GRID**2 - e0_shift", "K_GRID**2 + e0_shift"),
        Fault("labels alone are mixed", "chi = mix(chi, *mixed)", "pass"),
        Fault("half the damping of first shells", "-2 * sigma2[:, None]", "-1 * sigma2[:, None]"),
        Fault("broadening makes peaks higher", "np.exp(-2 * loss * (", "np.exp(2 * loss * ("),
        Fault("s02 is without what first shells lose", "(R_OF_FFT - R_OF_S02)", "(R_OF_FFT - 0)"),
        Fault("one s02 for all absorbers", "if how.s02_by_absorber:", "if False:"),
        Fault("cold bonds are as soft as metals", "(ZERO_POINT, OF_BONDS)", "(ZERO_POINT, ZERO_POINT)"),
        Fault("noise falls with k", "np.maximum(K_GRID, 1) / 10)", "10 / np.maximum(K_GRID, 1))"),
    ],
    "build_models/spectra/copies.py": [
        Fault("spectra are mixed across folds", "_groups, apart]", "_groups, 0 * apart]", "test_augment.py"),
    ],
    "build_models/spectra/dataset.py": [
        Fault("the hardest lattice first", "0.004, 0.002])", "0.004, 0.002])[::-1]"),
    ],
    "build_models/spectra/samples.py": [
        Fault("the same samples in each copy", "[seed, copy]", "[seed]"),
        Fault("samples are mixed across folds", "[1], sides[:, 0]]", "[1], sides[:, 0] * 0]"),
        Fault("bulk metals are in no figure", "held[~particle, 1] = held[~particle, 0]", "pass"),
        Fault("particles that are not held out are partners", "meet = rows[meets[rows]]", "meet = rows"),
        Fault("the s02 that is told is another one", "s02 * rng.lognormal(0, S02_ERROR, n)", "rng.uniform(0.5, 1, n)"),
    ],
    "larch_cnpredict/ask.py": [
        Fault(
            "one site is no surer than a mixture",
            "        if request.one_site:\n            return p",
            "",
            "test_predict.py",
        ),
        Fault("a support is a contradiction", "if agreed[best] >= least", "if False", "test_predict.py"),
        Fault(
            "two phases are one site where that is told", "low - FAR <= number <= high + FAR", "True", "test_predict.py"
        ),
        Fault("shells of mixtures", "if doubts or sample.kind", "if doubts and sample.kind", "test_predict.py"),
        Fault(
            "a p that is no longer sure, without a word",
            "MUCH = LIKELY, domain.SURE",
            "MUCH = (LIKELY,)",
            "test_predict.py",
        ),
    ],
    "larch_cnpredict/components.py": [
        Fault("a glitch is a component", "if second < LONE * first", "if False"),
        Fault("two components where there are three", "residuals[count - 1] > 1.5 * noise", "False"),
        Fault("one site is pure, whatever its number", "answers[j].headline == answer.headline or low", "low > high"),
    ],
    "larch_cnpredict/domain.py": [
        Fault("nothing is out of domain", "if value > 1]", "if value > 1e9]", "test_predict.py"),
        Fault("shells by the nearest site alone", "AGREE, ASKED = 5, 6", "AGREE, ASKED = 1, 1"),
        Fault("shells of sites with another number", "ASKED, cn)", "ASKED)"),
    ],
    "larch_cnpredict/explanation.py": [
        Fault("importance of what is left of p", "replace(request, one_site=True)", "request"),
    ],
    "larch_cnpredict/features.py": [
        Fault("real and imaginary part change places", "values.real, values.imag", "values.imag, values.real"),
        Fault("windows go on where the data have ended", "None] + KSTEP / 4 > K_GRID", "None] + 100 > K_GRID"),
    ],
    "larch_cnpredict/feffit_start.py": [
        Fault("a number contradicts whatever its error", "> 2 * error:", "> 0 * error:"),
        Fault("answers that are void begin a fit in silence", "[] if answer.in_domain else", "[] if True else"),
        Fault("bad fits are not said", "if rfactor > BAD_FIT:", "if rfactor > 9:"),
    ],
    "larch_cnpredict/models.py": [
        Fault("damaged models are believed", 'hashlib.sha256(content).hexdigest() != entry["sha256"]', "False"),
    ],
    "larch_cnpredict/quality.py": [
        Fault("mu that falls is absorption", "above.mean() < -0.5", "False", "test_cli.py"),
        Fault("any bump is a pre-edge peak", "max(before, behind) < min(norm[i], 1) / 2", "True"),
        Fault("noise stands out", "UNLIKE_OTHERS * usual", "0 * usual"),
        Fault("what is between points far apart stands out", " & (away > may_be)", ""),
    ],
    "larch_cnpredict/reading.py": [
        Fault("an e0 that autobk did not use", 'as_number(getattr(group, "ek0", None)) or ', ""),
        Fault("data of other steps are never read again", "*in_steps(own.k, own.chi)", "own.k, own.chi"),
    ],
    "larch_cnpredict/reference.py": [
        Fault("a foil is fitted each time", "_found[spectrum.fingerprint] =", "_found[spectrum.name] ="),
    ],
    "larch_cnpredict/result.py": [
        Fault("one number that is not likely is sound", "and self.p >= LIKELY", ""),
        Fault("one site that is read as several is sound", "and not self.unlike_told", "", "test_predict.py"),
    ],
    "larch_cnpredict/samples.py": [
        Fault("an s02 that is told changes no height", "spectrum = spectrum * height", "pass"),
        Fault("heights of real parts", "in channels]", "in (2,)]"),
    ],
    "larch_cnpredict/columns.py": [
        Fault(
            "any line of a header has labels", "if any(re.fullmatch(f", "if True or any(re.fullmatch(f", "test_cli.py"
        ),
    ],
    "larch_cnpredict/spectrum.py": [
        Fault(
            "stale by the last digits of chi(R)",
            "(r, magnitude) if k is None",
            "(r, magnitude, k, chi) if k is not None",
        ),
    ],
    "larch_cnpredict/transform.py": [
        Fault("any window is that of training", "ING.items())", 'ING.items() if key != "window")', "test_spectrum.py"),
    ],
    "larch_cnpredict/uncertainty.py": [
        Fault("weights of spectrum and composition change places", "a, b, c = weights", "b, a, c = weights"),
        Fault("a prediction set of one", "np.minimum(threshold, p.max())", "p.max()", "test_calibrate.py"),
    ],
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--passed", action="store_true")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args(arguments)
    faults = [
        (file, fault)
        for file, listed in FAULTS.items()
        for fault in listed
        if any(word in fault.name for word in asked.words or [""])
    ]
    tests = sorted({_tests(file, fault) for file, fault in faults})
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="mutations-") as scratch, ThreadPoolExecutor(workers) as threads:
        copies: Queue[Path] = Queue()
        for number in range(workers):
            copies.put(_copy(Path(scratch) / str(number)))
        shares = [] if asked.passed else [" ".join(tests[number::workers]) for number in range(workers)]
        for failed, said in threads.map(lambda share: _pytest(Path(scratch) / "0", share), filter(None, shares)):
            if failed:
                print(f"the tests fail without any fault:\n{said[-4000:]}")
                return 1
        results = list(threads.map(lambda one: _plant(*one, copies), faults))
    return 1 if False in results else 0


def _tests(file: str, fault: Fault) -> str:
    if not fault.tests:
        return str(Path("tests", file).with_name(f"test_{Path(file).name}"))
    (path,) = (ROOT / "tests").rglob(fault.tests)
    return str(path.relative_to(ROOT))


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


def _plant(file: str, fault: Fault, copies: Queue) -> bool:
    """Whether the tests notice."""
    folder = copies.get()
    path = folder / file
    text = path.read_text()
    try:
        if text.count(fault.right) != 1:
            print(f"{fault.name}: its place is not there once in {file}: {fault.right}", flush=True)
            return False
        path.write_text(text.replace(fault.right, fault.wrong))
        failed, said = _pytest(folder, _tests(file, fault))
        (by,) = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.M)[:1] or ["NOT FOUND"]
        print(f"{fault.name:48s} {by.split('::')[-1]}", flush=True)
        return failed
    finally:
        path.write_text(text)
        copies.put(folder)


def _pytest(folder: Path, tests: str) -> tuple[bool, str]:
    """Whether tests fail in this copy, and what pytest says."""
    options = ["-x", "-q", "-rfE", "-p", "no:cacheprovider", "-m", "not feff"]  # no fault is planted in what FEFF makes
    with tempfile.NamedTemporaryFile("r") as said:
        run = FORKS.Process(target=_run, args=(folder, [*options, *tests.split()], said.name))
        run.start()
        run.join()
        if run.exitcode not in (0, 1):  # 1: a test failed; all else is no verdict
            raise RuntimeError(f"pytest ended with {run.exitcode}\n{said.read()}")
        return run.exitcode == 1, said.read()


def _run(folder: Path, arguments: list[str], said: str) -> None:
    """In a process of its own: pytest, as it runs in the folder."""
    import pytest

    gc.freeze()  # pytest's collections at its end go through all that is imported: half of a short run
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    with open(said, "w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        code = pytest.main(arguments)
        sys.stdout.flush()
    sys.exit(int(code))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
