"""Measured spectra of compounds with known coordination: the last word on a model, never part of training it.

A folder holds `index.csv` (columns file, element, sample, structure_key, cn, cn_kind) and files of energy and mu.
`cn_kind` is 'int' where one number is right, 'mixed' where sites of several are averaged, and 'ambig' where the
convention decides (body-centred cubic: 8, or 8 + 6).
"""

import itertools
import warnings
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from larch import Group
from larch.xafs import xftf
from pymatgen.core import Composition

from build_models.config import ConfigError
from build_models.data.labels import formula_key
from larch_cnpredict import CNPredictError, predict_cn
from larch_cnpredict.domain import SURE
from larch_cnpredict.errors import FileError, UnexpectedError
from larch_cnpredict.features import KMAX_DEFAULT, TRANSFORM
from larch_cnpredict.files import process
from larch_cnpredict.result import ONE_SITE

# What people run: the transform of most tutorials, Larix's, and xftf's own defaults.
TRANSFORMS: dict[str, dict[str, Any]] = {
    "common": {**TRANSFORM, "kmax": KMAX_DEFAULT},
    "larix": {"kmin": 2, "kmax": None, "kweight": 2, "dk": 4, "window": "kaiser"},
    "xftf": {},
}

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of the second compound of a mixture
REFUSED = SimpleNamespace(
    cn=np.nan, cn_mean=np.nan, cn_set=(), p=0.0, in_domain=False, kind=ONE_SITE,
    interval=(-np.inf, np.inf), verdict="outside",
)  # fmt: skip
MISLED = 0.5  # of a sure answer whose mean is off by more


def formulas(folder: Path) -> list[str]:
    """Formulas of the compounds, as tables name them, to leave them out of training."""
    samples = {row["sample"].removeprefix("alpha-") for row in _index(folder)}
    try:
        return sorted({formula_key(Composition(sample)) for sample in samples})
    except ValueError as error:
        raise ConfigError(f"{folder / 'index.csv'}: a sample is not named by its formula: {error}") from None


def score(folder: Path, models: Path) -> dict[str, dict[str, Any]]:
    """Take each spectrum the way a user would, and compare; each compound counts once, however many scans it has."""
    rows = _index(folder)
    if not any(row["cn_kind"] == "int" for row in rows):
        raise ConfigError(f"{folder / 'index.csv'} has no spectrum of one number (cn_kind 'int')")
    groups = [_made(folder, row) for row in rows]
    out = {}
    for name, settings in TRANSFORMS.items():
        answers: list[Any] = []
        for group in groups:
            if group is None:
                answers.append(None)
                continue
            kmax = {"kmax": float(group.k[-1])} if settings.get("kmax", 0) is None else {}
            xftf(group, **{**settings, **kmax})
            answers.append(_answer(group, models))
        out[name] = summarise(rows, answers)
    return out


def mixtures(folder: Path, models: Path) -> dict[str, dict[str, float]]:
    """Two compounds of one absorber, mixed as mu(E) in several shares, read as any spectrum; the first good scan.

    Where the convention decides (body-centred cubic metals: 8 or 14), any mean between the two is right.
    """
    known: dict[str, dict[str, tuple[dict, Group]]] = defaultdict(dict)
    for row in _index(folder):
        compounds, name = known[row["element"]], row["structure_key"]
        asked = name not in compounds and (row["cn_kind"] == "int" or name == row["element"])
        if asked and (group := _made(folder, row)) is not None:
            compounds[name] = row, group
    pairs = [pair for compounds in known.values() for pair in itertools.combinations(compounds.values(), 2)]
    told_apart = [pair for pair in pairs if pair[0][0]["cn"] != pair[1][0]["cn"]]
    answered = [_mixture(models, pair, share) for pair in told_apart for share in SHARES]
    rows = pd.DataFrame([row for row in answered if row])
    groups = {"pure": (0.0, 1.0), "50:50": (0.5,), "mixed": SHARES[1:-1]}
    chosen = {name: rows[rows["share"].isin(shares)] for name, shares in groups.items()} if len(rows) else {}
    return {name: {"spectra": len(some), **some.drop(columns="share").mean()} for name, some in chosen.items()}


def _mixture(models: Path, pair: tuple[tuple[dict, Group], ...], share: float) -> dict[str, float] | None:
    """How far off the answer is and what else is in it; None where there is none."""
    rows, parts = zip(*pair, strict=True)
    energy = parts[share > 0.5].energy
    inside = (energy >= max(p.energy[0] for p in parts)) & (energy <= min(p.energy[-1] for p in parts))
    first, second = (np.interp(energy[inside], part.energy, part.norm) for part in parts)
    group = _processed(Group(energy=energy[inside], mu=(1 - share) * first + share * second))
    xftf(group, **TRANSFORMS["common"])
    answer = _answer(group, models, rows[0]["element"])
    if answer is None:
        return None
    cn = [float(row["cn"]) for row in rows]
    top = [14.0 if row["cn_kind"] != "int" and row["cn"] == "8" else float(row["cn"]) for row in rows]
    low, high = ((1 - share) * ends[0] + share * ends[1] for ends in (cn, top))
    off = max(low - answer.cn_mean, answer.cn_mean - high, 0.0)
    said = answer.mixture >= 0.5 or not answer.in_domain
    return {
        "share": share,
        "off": off,
        "covered": answer.interval[0] <= high and low <= answer.interval[1],
        "width": answer.interval[1] - answer.interval[0],
        "said": said,
        "sure": answer.p >= SURE and not said,
        "misled": answer.p >= SURE and not said and off > MISLED,
    }


def _answer(group: Group, models: Path, element: str | None = None) -> Any:
    """The answer, or None where it is refused."""
    try:
        return predict_cn(group, element=element, models=models)
    except UnexpectedError:  # a fault of the program is no refusal
        raise
    except CNPredictError:
        return None


def _index(folder: Path) -> list[dict[str, str]]:
    return pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False).to_dict("records")


def _read(folder: Path, row: dict[str, str]) -> Group:
    try:
        energy, mu = np.loadtxt(folder / row["file"], unpack=True)
    except ValueError as error:
        raise FileError(row["file"], error) from None
    return Group(energy=energy, mu=mu, filename=row["file"])


def _made(folder: Path, row: dict[str, str]) -> Group | None:
    """The spectrum with chi(k); none where Larch gets none, which is said and counts as refused."""
    try:
        return _processed(_read(folder, row))
    except FileError as error:
        print(error)
        return None


def _processed(group: Group) -> Group:
    with warnings.catch_warnings(action="ignore"):
        return process(group)


def summarise(rows: list[dict[str, str]], answers: list[Any]) -> dict[str, Any]:
    """The figures of one way to transform: rows of the index, and what was answered (None: refused)."""
    scans = []
    for row, answer in zip(rows, answers, strict=True):
        compound, cn, made = f"{row['element']} {row['structure_key']}", float(row["cn"]), answer or REFUSED
        figures = {"exact": made.cn == cn, "within1": abs(made.cn - cn) <= 1, "in_set": cn in made.cn_set}
        figures |= {"held": made.interval[0] <= cn <= made.interval[1], "verdict": made.verdict}
        figures |= {"several": made.kind != ONE_SITE, "off": abs(made.cn_mean - cn), "flagged": not made.in_domain}
        scans.append({**row, "compound": compound, "cn": cn, "sure": made.in_domain and made.p >= SURE, **figures})
    table = pd.DataFrame(scans)
    known = table[table["cn_kind"] == "int"]
    by = known.groupby(["compound", "cn"])[["exact", "within1", "in_set", "several"]].mean()
    numbers = by.groupby("cn").size()  # of compounds
    off = table.groupby(["cn_kind", "compound"])["off"].mean().groupby("cn_kind").mean()
    sure = known[known["sure"]]  # the answers that a user would take for sure
    wrong = known[~known["exact"]].groupby("compound", sort=False)
    missed = known[~known["held"]]
    return {
        "compounds": len(by),
        **by.mean().to_dict(),
        "commonest": int(numbers.idxmax()),
        "always_commonest": float(numbers.max() / len(by)),
        "balanced": float(by["exact"].groupby("cn").mean().mean()),
        **{kind: float(off.get(kind, np.nan)) for kind in ("int", "mixed", "ambig")},
        "known": len(known),  # spectra of one number
        "verdicts": known["verdict"].value_counts().to_dict(),
        "missed": [
            {"compound": name, "truth": int(cn), "mean": answers[i].mean_text}
            for i, name, cn in missed[["compound", "cn"]].itertuples()
        ],
        "confident": len(sure),
        "confident_wrong": int((~sure["exact"]).sum()),
        "flagged": float(table["flagged"].mean()),
        "spectra": len(answers),
        "wrong": {
            name: {"truth": int(some["cn"].iloc[0]), "predicted": [answers[i] and answers[i].cn for i in some.index]}
            for name, some in wrong
        },
    }
