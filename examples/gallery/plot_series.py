"""
A series, and what it is made of
================================

Copper oxide turns into copper in twenty steps. There is no such series among the examples, so it is mixed here from two
measured spectra, as a beam would mix them: their normalised mu(E), in shares, with some noise.
"""

from pathlib import Path

import numpy as np
from larch import Group
from larch.io import read_ascii, read_xdi
from larch.xafs import autobk, pre_edge, xftf
from matplotlib import pyplot

from larch_cnpredict import cn_components, plot_cn_series

examples = Path("..").resolve()  # the folder of the measured spectra
oxide = read_xdi(str(examples / "CuO_liquid_nitrogen.xdi"))
oxide.mu = oxide.mutrans
metal = read_ascii(str(examples / "Cu_foil_liquid_nitrogen.dat"))
for pure in (oxide, metal):
    pre_edge(pure)

random = np.random.default_rng(1)
energy = oxide.energy[(oxide.energy > metal.energy[0]) & (oxide.energy < metal.energy[-1])]
series = []
for step, share in enumerate(np.linspace(0, 1, 21)):
    mu = (1 - share) * np.interp(energy, oxide.energy, oxide.norm) + share * np.interp(energy, metal.energy, metal.norm)
    group = Group(energy=energy, mu=mu + random.normal(scale=0.001, size=energy.size), filename=f"cuo_{step:02d}.xdi")
    group.temperature = f"{300 + 10 * step} K"
    pre_edge(group)
    autobk(group, rbkg=1, kweight=2)
    xftf(group, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    series.append(group)

plot_cn_series(series, x="temperature")
pyplot.show()

# %%
# What mixes linearly is mu(E). Two spectra make up all of this series but for its noise, and each is read by itself.
# Where nothing but the assumption that the series reaches it pure says what a component is, the answer says so.
print(cn_components(series))
