"""
Three hundred steps from NiO to Ni
==================================

A reduction as a beamline would follow it, simulated, so that the truth is known: FEFF8L's spectra of the two crystals,
mixed as mu(E) with noise, then `autobk` and `xftf` for each of 300 scans. Larch does all of it, and has the crystals.
"""

import tempfile
from pathlib import Path

import numpy as np
from larch import Group
from larch.xafs import autobk, feff8l, feffpath, ff2chi, pre_edge, xftf
from larch.xafs.sigma2_models import sigma2_debye
from larch.xafs.xafsutils import KTOE
from larixite import cif2feffinp
from larixite.amcsd import AMCSD
from matplotlib import pyplot

from larch_cnpredict import plot_cn_series, predict_cn


def crystal(amcsd_id: int, debye_temperature: float) -> np.ndarray:
    """chi(k) at 300 K of nickel in an entry of Larch's mineral database, every 0.05 Å^-1."""
    with tempfile.TemporaryDirectory() as folder:
        cif = AMCSD(read_only=True).get_cif(amcsd_id).ciftext
        (Path(folder) / "feff.inp").write_text(cif2feffinp(cif, "Ni"))
        feff8l(folder=folder, verbose=False)
        paths = [feffpath(str(path), s02=0.85) for path in sorted(Path(folder).glob("feff0*.dat"))]
        for path in paths:
            path.sigma2 = sigma2_debye(300, debye_temperature, path)
        return ff2chi(paths, kmax=16).chi


oxide, metal = crystal(17028, 500), crystal(11153, 400)
e0, energy = 8333, np.arange(8133, 9150, 0.5)
k = np.sqrt(np.clip(energy - e0, 0, None) / KTOE)
edge = 0.5 + np.arctan((energy - e0) / 1.5) / np.pi
random = np.random.default_rng(1)
series = []
for share in np.linspace(0, 1, 300):
    chi = np.interp(k, 0.05 * np.arange(len(oxide)), (1 - share) * oxide + share * metal)
    mu = edge * (1 + chi) + random.normal(scale=0.0005, size=energy.size)
    group = Group(energy=energy, mu=mu, percent_of_metal=100 * share)
    pre_edge(group)
    autobk(group, rbkg=1, kweight=2)
    xftf(group, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    series.append(group)

# %%
# Each point is the mean coordination number that the models read, with its 90 % interval; the dashed line is the truth.
figure = pyplot.figure(figsize=(8, 6), layout="constrained")
plot_cn_series(series, x="percent_of_metal", figure=figure, title="NiO to Ni, 300 simulated scans")
figure.axes[0].plot([0, 100], [6, 12], "k--", linewidth=1)
pyplot.show()

# %%
# The truth is a straight line from 6 to 12. What is read is not: near both ends the lesser phase is not seen, but the
# interval holds it. The metal, whose EXAFS is the stronger, hides the oxide sooner than the oxide the metal.
# The components are found in mu(E) of all scans together: their shares are right to the end.
percent, truth = figure.cn_series.x, 6 + 0.06 * figure.cn_series.x


def say(answers: list) -> None:
    print("Ni %   truth   read   90 % interval   kind")
    for i in (0, 75, 150, 224, 299):
        low, high = answers[i].interval
        print(
            f"{percent[i]:4.0f} {truth[i]:7.1f} {answers[i].cn_mean:6.1f}   {low:5.1f} to {high:4.1f}   "
            f"{answers[i].kind}"
        )
    held = [made.interval[0] <= cn <= made.interval[1] for made, cn in zip(answers, truth, strict=True)]
    single = percent[[made.kind == "one site" for made in answers]]
    print(f"\nThe interval holds the truth for {np.mean(held):.0%} of the scans. They are said to be one site")
    print(f"up to {single[single < 50].max():.0f} % of metal, and from {single[single > 50].min():.0f} % on.\n")


say(figure.cn_series.answers)
print(figure.cn_series.components)

# %%
# Who reduces nickel oxide knows what is in the cell, and from a foil s02. Without it, much metal with a little oxide
# looks like a metal with less of the amplitude.
predict_cn(series, elements="Ni O", reference=0.85)
figure = pyplot.figure(figsize=(8, 6), layout="constrained")
plot_cn_series(series, x="percent_of_metal", figure=figure, title="The same, with elements and s02 told")
figure.axes[0].plot([0, 100], [6, 12], "k--", linewidth=1)
pyplot.show()

# %%
say(figure.cn_series.answers)
