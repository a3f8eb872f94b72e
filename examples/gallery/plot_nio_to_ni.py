"""
Three hundred steps from NiO to Ni
==================================

A reduction as a beamline would follow it, simulated, so that the truth is known: FEFF8L's spectra of the two crystals,
mixed as mu(E) with noise, then `autobk` and `xftf` for each of 300 scans. All of it is done by Larch, crystals included.
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

from larch_cnpredict import plot_cn_series


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
    autobk(group, rbkg=1)
    xftf(group, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    series.append(group)

# %%
# Each point is the mean coordination number that the models read, with its 90 % interval.
figure = plot_cn_series(series, x="percent_of_metal", title="NiO to Ni, 300 simulated scans")
pyplot.show()

# %%
# The truth goes in a straight line from 6 to 12. What is read does not:
print("Ni %   truth   read   90 % interval   kind")
for i in (0, 75, 150, 224, 299):
    answer, percent = figure.cn_series.answers[i], figure.cn_series.x[i]
    low, high = answer.interval
    print(f"{percent:4.0f} {6 + 0.06 * percent:7.1f} {answer.cn_mean:6.1f}   {low:5.1f} to {high:4.1f}   {answer.kind}")
