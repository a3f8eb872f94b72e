"""What is no EXAFS, or EXAFS with a mistake in it, seldom has a sure answer in domain; good spectra stay in."""

import hashlib
import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from larch import Group
from larch.xafs import xftf
from larch.xafs.xafsutils import KTOE

from larch_cnpredict import domain, predict_cn
from larch_cnpredict.absorber import k_edge
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.models import default_folder
from tests.helpers import TRAINING

K = 0.05 * np.arange(281)  # Å^-1, to 14
N = 150
STEMS = ("Cu_foil", "Ni_foil", "CuO")


def transformed(k: np.ndarray, chi: np.ndarray, element: str, kmax: float) -> Group:
    group = Group(k=k, chi=chi, e0=k_edge(element), filename="made")
    xftf(group, **{**TRAINING, "kmax": kmax})
    return group


def sinusoids(rng: np.random.Generator) -> np.ndarray:
    chi = np.zeros_like(K)
    for _ in range(rng.integers(1, 6)):
        wave = np.sin(2 * K * rng.uniform(0.5, 8) + rng.uniform(0, 2 * np.pi))
        chi += rng.uniform(0.2, 1) * wave * np.exp(-2 * rng.uniform(0.002, 0.02) * K**2)
    return chi / np.maximum(K, 1) ** rng.integers(0, 3)


def bumps_in_k(rng: np.random.Generator) -> np.ndarray:
    bumps = [
        rng.normal() * np.exp(-(((K - rng.uniform(0, 14)) / rng.uniform(0.2, 2)) ** 2) / 2)
        for _ in range(rng.integers(4, 20))
    ]
    return np.sum(bumps, axis=0) / np.maximum(K, 1) ** rng.integers(0, 3)


def bumps_in_r(rng: np.random.Generator) -> np.ndarray:
    """Wave packets: each a Gaussian about a place in R, and about a place in k."""
    chi = np.zeros_like(K)
    for _ in range(rng.integers(1, 5)):
        envelope = np.exp(-(((K - rng.uniform(4, 9)) * rng.uniform(0.1, 0.6)) ** 2))
        chi += rng.uniform(0.2, 1) * envelope * np.cos(2 * K * rng.uniform(1, 5) + rng.uniform(0, 2 * np.pi))
    return chi / np.maximum(K, 1) ** 2


def coloured_noise(power: float) -> Callable[[np.random.Generator], np.ndarray]:
    def make(rng: np.random.Generator) -> np.ndarray:
        frequency = np.fft.rfftfreq(1024)
        frequency[0] = np.inf
        return np.fft.irfft(np.fft.rfft(rng.normal(size=1024)) * frequency ** (-power / 2))[: len(K)]

    return make


def of_a_plausible_height(chi: np.ndarray, rng: np.random.Generator) -> Group:
    element, kmax = str(rng.choice(ELEMENTS)), round(rng.uniform(9, 13.5), 1)
    group = transformed(K, chi, element, kmax)
    shell = group.chir_mag[(group.r > 1) & (group.r < 3.3)].max()
    return transformed(K, chi * np.exp(rng.uniform(np.log(0.4), np.log(5))) / shell, element, kmax)


def sure(groups: list[Group]) -> float:
    """The share that is answered in domain, with a probability of 0.8 or more."""
    return float(np.mean([a.in_domain and max(a.probabilities) >= 0.8 for a in predict_cn(groups)]))


def as_measured_elsewhere(group: Group, rng: np.random.Generator, factor: float = 1.0) -> Group:
    """The same sample with another e0, s02, noise and end of the data."""
    k = np.sqrt(np.maximum(group.k**2 + rng.uniform(-6, 6) / KTOE, 0))
    chi = factor * rng.uniform(0.85, 1.1) * np.interp(k, group.k, group.chi)
    chi += 10 ** rng.uniform(-4, -2.7) * rng.normal(size=len(k))
    kmax = round(rng.uniform(9, min(13.5, group.k[-1])), 1)
    out = Group(k=group.k, chi=chi, e0=group.e0, filename="measured elsewhere")
    xftf(out, **{**TRAINING, "kmax": kmax})
    return out


@pytest.mark.parametrize(
    ("counts", "cn", "said"),
    [
        ([[8, 6]] * 6, 8, [8, 6]),
        ([[8, 6]] * 6, 14, [8, 6]),
        ([[12, 0], *[[8, 6]] * 5], 8, [8, 6]),
        ([[8, 6]] * 5, 8, [8, 6]),
        ([[12, 0], [8, 4], *[[8, 6]] * 4], 8, []),  # four of six
        ([[8, 6]] * 4, 8, []),  # no more are known
        ([[8, 6]] * 6, 12, []),  # not the number of the answer
        ([[12, 0]] * 6, 12, []),  # one shell
    ],
)
def test_shells_are_said_where_known_sites_with_that_number_agree(counts, cn, said):
    n = len(counts)
    arrays = {
        "index": np.arange(2.0 * n)[:, None] * np.ones((1, 24)),
        "element": np.zeros(2 * n, np.int8),
        "cn": np.array([cn, 4] * n, np.int8),  # every second site has another number, and nothing to say
        "formula": np.array([f"Fe{i}Co" for i in range(2 * n)]),
        "shell_counts": np.array([row for one in counts for row in (one, [4, 0])], np.int8),
        "shell_distances": np.full((2 * n, 2), [2.48, 2.87], np.float16),
    }
    found = domain.resolved_shells(np.zeros((1, 24)), arrays, 0, cn)
    assert [shell["count"] for shell in found] == said
    if said:
        nearest = f"Fe{2 * counts.index(said)}Co"
        assert found[1] == {"count": 6, "distance": 2.87, "formula": nearest}


def test_models_that_were_made_without_structures_predict_and_say_no_shells(measured, tmp_path):
    folder = shutil.copytree(default_folder(), tmp_path / "mine")
    manifest = json.loads((folder / "manifest.json").read_text())
    with np.load(folder / "domain.npz") as known:
        np.savez(folder / "domain.npz", **{name: known[name] for name in known if name not in domain.SHELLS})
    manifest["domain"]["sha256"] = hashlib.sha256((folder / "domain.npz").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    answer = predict_cn(measured("Cu_foil"), models=folder)
    assert (answer.cn, answer.cn_shells) == (12, [])


@pytest.mark.parametrize(
    ("make", "most"),
    [(sinusoids, 0.05), (bumps_in_k, 0.05), (bumps_in_r, 0.05), (coloured_noise(1), 0.01), (coloured_noise(2), 0.02)],
    ids=["sinusoids", "bumps in k", "bumps in R", "pink noise", "brown noise"],
)
def test_what_is_no_exafs_has_no_sure_answer(make, most):
    rng = np.random.default_rng(15)
    assert sure([of_a_plausible_height(make(rng), rng) for _ in range(N)]) <= most


@pytest.mark.parametrize(("factor", "most"), [(-1, 0.2), (3, 0.05)], ids=["-chi", "3 chi"])
def test_mistaken_chi_has_no_sure_answer(measured, factor, most):
    rng = np.random.default_rng(15)
    groups = [measured(stem) for stem in STEMS]
    assert sure([as_measured_elsewhere(groups[i % 3], rng, factor) for i in range(N)]) <= most


def test_good_spectra_stay_in_domain(measured):
    rng = np.random.default_rng(15)
    groups = [measured(stem) for stem in STEMS]
    answers = predict_cn([as_measured_elsewhere(groups[i % 3], rng) for i in range(400)])
    assert np.mean([a.in_domain for a in answers]) > 0.99


def test_a_wrong_sign_is_said_where_the_phases_are_read(measured):
    group = measured("Cu_foil")
    wrong = transformed(group.k, -group.chi, "Cu", 12)
    answer = predict_cn(wrong)
    assert not answer.in_domain
    assert "the sign of chi" in " ".join(answer.notes)
    magnitude = predict_cn(wrong.r, wrong.chir_mag, element="Cu", transform="own")  # the same as that of chi
    assert magnitude.in_domain, magnitude.notes


def test_one_verdict_alone_and_in_a_batch(measured):
    right = measured("Cu_foil")
    groups = [right, transformed(right.k, -right.chi, "Cu", 12), measured("CuO")]
    batch = [answer.domain_score for answer in predict_cn(groups)]
    assert batch == pytest.approx([predict_cn(group).domain_score for group in groups], rel=1e-4)


def test_known_sites_of_what_the_sample_is_made_of_come_first(measured):
    group = measured("CuO")
    alone, told = predict_cn(group), predict_cn(group, formula="CuO")
    known = [site["formula"] for site in told.neighbours]
    of_these = [domain.elements(formula) <= {"Cu", "O"} for formula in known]
    assert of_these[0]
    assert of_these == sorted(of_these, reverse=True)
    assert len(known) == domain.SHOWN
    assert known != [site["formula"] for site in alone.neighbours]
    assert told.domain_score == alone.domain_score
    gold = predict_cn(group, elements="Cu Au Xe")  # no known site of these, or hardly one
    assert len(gold.neighbours) == domain.SHOWN
