"""cn_components on series that are mixed from measured spectra, so that shares and end members are known."""

import sys
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from larch import Group
from larch.io import read_ascii
from larch.xafs import pre_edge
from matplotlib.figure import Figure

import larch_cnpredict
from larch_cnpredict import along, cn_components, errors, plot_cn_series
from larch_cnpredict.along import cn_series
from larch_cnpredict.components import _could_hold, _doubt
from larch_cnpredict.files import process
from tests.helpers import EXAMPLES

MEASURED = Path(__file__).parents[3] / "shared" / "measured"  # beside the checkout, for the developers alone
COPPER = (EXAMPLES / "CuO_liquid_nitrogen.xdi", EXAMPLES / "Cu_foil_liquid_nitrogen.dat")
NICKEL = (MEASURED / "Ni_NiO_m212.dat", MEASURED / "Ni_Ni_m083.dat")
IRON = tuple(MEASURED / f"Fe_{name}.dat" for name in ("Fe2O3_m052", "FeS2_m057", "Fe_m058"))
CHROMIUM = tuple(MEASURED / f"Cr_{name}.dat" for name in ("K2CrO4_m034", "Cr2O3_m006"))
MANGANESE = tuple(MEASURED / f"Mn_{name}.dat" for name in ("MnO_m152", "MnO2_m159"))
TWENTY_STEPS = np.linspace(0, 1, 21)


def mixtures(paths, shares, noise: float = 1e-3, change: Callable = lambda i, energy: energy) -> list[Group]:
    """Groups with mu(E) mixed as a beam sees it: (n, compounds) shares, or (n,) of the second of two."""
    if any(not path.exists() for path in paths):
        pytest.skip("the measured spectra of the developers are not here")
    shares = np.asarray(shares) if np.ndim(shares) == 2 else np.transpose([1 - np.asarray(shares), shares])
    pure = []
    for path in paths:
        energy, mu = read_ascii(str(path)).data[:2]
        pure.append(Group(energy=energy, mu=mu))
        pre_edge(pure[-1])
    energy = pure[0].energy
    energy = energy[(energy >= max(p.energy[0] for p in pure)) & (energy <= min(p.energy[-1] for p in pure))]
    random, out = np.random.default_rng(7), []
    for i, share in enumerate(shares):
        mu = sum(s * np.interp(change(i, energy), p.energy, p.norm) for s, p in zip(share, pure, strict=True))
        mu = mu + noise * random.normal(size=len(energy))
        out.append(process(Group(energy=energy, mu=mu, filename=f"step_{i:03d}.xdi")))
    return out


@cache
def _made_once(paths: tuple[Path, ...], noise: float) -> list[Group]:
    return mixtures(paths, TWENTY_STEPS, noise)


def twenty_steps(paths: tuple[Path, ...] = COPPER, noise: float = 1e-3) -> list[Group]:
    """Fresh groups, from the first of two compounds to the second."""
    return deepcopy(_made_once(paths, noise))


@pytest.mark.parametrize("noise", [0, 1e-3, 3e-3])
@pytest.mark.parametrize(("paths", "ends"), [(COPPER, (4, 12)), (NICKEL, (6, 12))], ids=["copper", "nickel"])
def test_shares_and_end_members_are_found(paths, ends, noise):
    found = cn_components(twenty_steps(paths, noise))
    assert tuple(answer.cn for answer in found.answers) == ends
    np.testing.assert_allclose(found.shares[:, 1], TWENTY_STEPS, atol=0.02)
    np.testing.assert_allclose(found.shares.sum(1), 1)
    assert found.shares.min() >= 0
    for group, answer in zip(found.groups, found.answers, strict=True):
        assert group.cn_predict.cn == answer.cn
        assert str(answer) in str(found)


def test_the_order_is_that_of_the_series():
    found = cn_components(twenty_steps()[::-1])
    assert [answer.cn for answer in found.answers] == [12, 4]


@pytest.mark.parametrize("paths", [COPPER, NICKEL], ids=["copper", "nickel"])
def test_the_mean_does_not_fall_by_more_than_its_interval_along_a_series_that_rises(paths):
    """All steps up, but for what the answer itself says it does not know."""
    answers = cn_series(twenty_steps(paths)).answers
    for before, after in pairwise(answers):
        half_width = max((made.interval[1] - made.interval[0]) / 2 for made in (before, after))
        assert before.cn_mean - after.cn_mean < half_width
    assert answers[-1].cn_mean - answers[0].cn_mean > 5


def test_components_that_are_read_as_one_site_are_determined_and_drawn():
    groups = twenty_steps(NICKEL)
    figure = plot_cn_series(groups, figure=Figure())
    assert figure.cn_series.components.determined
    above, below = figure.axes
    found = figure.cn_series.components
    assert found.taken.startswith(
        "Shares are of the most different scans, taken as pure; mu(E) alone would allow up to "
    )
    assert found.taken in str(found)
    assert found.taken in figure.get_supxlabel()
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["component 1: CN 6", "component 2: CN 12"]
    figure.set_size_inches(8, 4.5)  # the size by default
    figure.draw_without_rendering()
    assert not above.yaxis.label.get_window_extent().overlaps(below.yaxis.label.get_window_extent())
    np.testing.assert_allclose([line.get_ydata()[-1] for line in below.lines], [0, 100], atol=2)
    assert len(plot_cn_series(groups, figure=Figure(), components=False).axes) == 1
    assert len(plot_cn_series(groups[:9], figure=Figure()).axes) == 1


def test_answers_of_a_series_are_looked_up_once_for_the_figure_and_its_components(monkeypatch):
    groups, asked, usual = twenty_steps(), [], along.current_answers
    monkeypatch.setattr(along, "current_answers", lambda members, **how: asked.append(members) or usual(members, **how))
    assert plot_cn_series(groups, figure=Figure()).cn_series.components.spectra == groups
    assert asked == [groups]


def test_a_series_that_does_not_reach_its_components_pure_is_not_determined():
    figure = plot_cn_series(mixtures(COPPER, np.linspace(0.25, 0.75, 21)), figure=Figure())
    found = figure.cn_series.components
    assert "may itself be mixed: it is not read as one site, and could hold up to" in found.doubt
    assert found.doubt in figure.get_supxlabel()
    assert found.doubt in str(found)
    assert len(figure.axes) == 1


@pytest.mark.parametrize(
    ("paths", "ends"), [(CHROMIUM, (0.1, 0.6)), (CHROMIUM, (0.3, 0.5)), (MANGANESE, (0.2, 0.8)), (IRON[:2], (0.2, 0.8))]
)
def test_what_is_mixed_but_read_as_one_site_is_not_determined(paths, ends):
    """Where numbers are the same or hardly known, 'one site' tells nothing of how pure the most different scans are."""
    found = cn_components(mixtures(paths, np.linspace(*ends, 12)))
    assert "may itself be mixed: it may have the number of component" in found.doubt
    true = ends[0], 1 - ends[1]  # shares of the other compound in the most different scans
    assert all(held > share - 0.05 for held, share in zip(found.held, true, strict=True))


@pytest.mark.parametrize(
    ("headline", "high", "told"), [("CN 12", 6.6, True), ("CN 6", 3.9, True), ("CN 12", 3.9, False)]
)
def test_one_site_tells_of_purity_where_its_number_is_another(headline, high, told):
    first = SimpleNamespace(kind="one site", headline="CN 6", in_domain=True, interval=(3.8, high), cn_mean=5.0)
    second = SimpleNamespace(kind="one site", headline=headline, in_domain=True, interval=(5.9, 6.1), cn_mean=6.0)
    doubt = _doubt(np.eye(2), np.array([[0, 0.3], [0.3, 0]]), [first, second])
    said = "mixed: it may have the number of component 2, and could hold up to 30 % of component 2."
    assert doubt == (f"Component 1 may itself be {said}" if told else "")


def test_before_the_edge_mu_says_nothing_of_purity():
    mine, other = np.array([-0.03, 0.4, 1.0]), np.array([0.0, 0.8, 1.0])
    assert _could_hold(mine, other) == pytest.approx(0.42 / 0.82)


def test_a_component_between_that_is_never_pure_is_not_determined():
    t = np.linspace(0, 1, 21)
    between = 1.2 * t * (1 - t)  # at most 0.3
    found = cn_components(mixtures(IRON, np.transpose([(1 - between) * (1 - t), between, (1 - between) * t])))
    assert len(found.groups) == 3
    assert found.doubt.startswith("No spectrum is nearly pure component 2: its share is 0.8")


@pytest.mark.parametrize(
    ("shares", "noise", "change", "sentence"),
    [
        (np.full(12, 0.5), 1e-3, lambda i, e: e, "hardly change by more than their noise"),
        (np.linspace(0.45, 0.55, 12), 0.04, lambda i, e: e, "hardly change by more than their noise"),
        (TWENTY_STEPS, 3e-4, lambda i, e: e + 3 * np.sin(i), "More than 4 components, or a drift"),
    ],
    ids=["the same", "noise", "drift of the energy"],
)
def test_a_number_of_components_that_is_not_clear_is_said(shares, noise, change, sentence):
    found = cn_components(mixtures(COPPER, shares, noise, change))
    assert sentence in found.doubt
    assert not found.determined
    assert found.answers == []


def test_two_components_that_noise_hides_are_not_believed():
    found = cn_components(mixtures(COPPER, np.linspace(0.4, 0.6, 12), 0.06), number=2)
    assert len(found.groups) == 2
    assert found.doubt == "The last of 2 components is hardly above the noise, or a drift of the energy."


def test_a_number_that_leaves_more_than_noise_is_not_believed():
    groups = twenty_steps()
    oxide = groups[0].mu
    reduced = np.interp(groups[0].energy + 3, groups[0].energy, oxide)  # as if its edge were 3 eV lower
    for share, group in zip(TWENTY_STEPS, groups, strict=True):
        group.mu = group.mu + share * (1 - share) * (reduced - oxide)
    found = cn_components(groups, number=np.int64(2))
    assert len(found.groups) == 2
    assert found.doubt.startswith("There are more than 2: these leave ")


@pytest.mark.parametrize("where", [10, 18])
def test_a_component_that_one_scan_alone_has_is_said_to_be_its(where):
    groups = twenty_steps()
    groups[where].mu[np.abs(groups[where].energy - 9300).argmin()] += 0.3  # a glitch
    found = cn_components(groups)
    assert len(found.groups) == 3
    (number,) = np.flatnonzero(found.shares[where] > 0.9) + 1
    alone = f"Component {number} rests on step_{where:03d}.xdi alone"
    said = f"{alone}: look at it, and measure another like it or leave it out."
    assert found.doubt == said
    assert f"component {number} (0 to " in str(found)
    assert f"most in step_{where:03d}.xdi)" in str(found)
    assert cn_components(groups[:where] + groups[where + 1 :]).determined


def test_the_scan_that_ends_before_the_others_is_named():
    groups = twenty_steps()
    assert cn_components(groups).shortened == ""
    short = groups[7].energy < 9600
    groups[7].energy, groups[7].mu = groups[7].energy[short], groups[7].mu[short]
    figure = plot_cn_series(groups, figure=Figure())
    found = figure.cn_series.components
    ends = f"All are read to {groups[7].energy[-1]:.0f} eV, where step_007.xdi ends: without it they could go further."
    assert (found.shortened, found.groups[0].energy[-1]) == (ends, groups[7].energy[-1])
    assert ends in str(found)
    assert ends in figure.get_supxlabel()


def test_components_are_asked_about_as_the_series_was_but_for_its_composition():
    groups = twenty_steps()
    del groups[4].mu, groups[4].chi, groups[4].chir_mag
    larch_cnpredict.predict_cn(groups, formula="Cu2O", reference=0.9, one_site=True, model="shells", errors="collect")
    found = cn_components(groups)
    assert found.spectra == groups[:4] + groups[5:]
    assert found.shares.shape == (20, 2)
    for answer in found.answers:
        asked = answer.request.reference, answer.request.one_site, answer.family, answer.composition
        assert asked == (0.9, False, "shells", "")


def test_what_cannot_be_taken_apart_is_refused_in_a_sentence(measured, monkeypatch):
    groups = twenty_steps()[::2]
    for given, number, kind, sentence in (
        (groups[:9], None, errors.SeriesError, "has 9 spectra: components need 10 or more"),
        ([*groups, measured("Ni_foil")], None, errors.SeriesError, "is of Cu K and Ni K"),
        (groups, 1, errors.SeriesError, "number=1"),
        (groups, "2", errors.SeriesError, "number='2'"),
    ):
        with pytest.raises(kind, match=sentence):
            cn_components(given, number=number)
    monkeypatch.setitem(sys.modules, "pymcr.mcr", None)
    with pytest.raises(errors.SeriesError, match=r"pip install 'larch-cnpredict\[series\]'"):
        cn_components(groups)
    assert "pymcr" in plot_cn_series(groups, figure=Figure()).get_supxlabel()
    del groups[3].mu
    with pytest.raises(errors.MissingArrayError, match=r"step_006.xdi' has no energy and mu"):
        cn_components(groups)


def test_the_groups_and_their_spectra_stay_as_they_were():
    groups = twenty_steps()
    cn_series(groups)
    before = [(group.e0, group.edge_step, group.mu.copy(), group.cn_predict) for group in groups]
    cn_components(groups)
    for group, (e0, edge_step, mu, made) in zip(groups, before, strict=True):
        assert (group.e0, group.edge_step) == (e0, edge_step)
        np.testing.assert_array_equal(group.mu, mu)
        assert group.cn_predict is made


def test_in_the_larch_language(larch):
    larch_cnpredict.register(_larch=larch)
    larch.symtable.steps = twenty_steps()
    found = larch.eval("cn_components(steps, number=2)")
    assert [error.get_error() for error in larch.error] == []
    assert len(found.groups) == 2
