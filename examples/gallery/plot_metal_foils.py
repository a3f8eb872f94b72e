"""
Several spectra at once
=======================

A list of groups goes through the models in one batch. Copper and nickel are both face-centred cubic: twelve neighbours.
"""

from pathlib import Path

from larch.io import read_ascii
from larch.xafs import autobk, pre_edge, xftf
from matplotlib import pyplot

from larch_cnpredict import explain, predict_cn

examples = Path("..").resolve()  # the folder of the measured spectra
foils = [read_ascii(str(examples / name)) for name in ("Cu_foil_liquid_nitrogen.dat", "Ni_foil.dat")]
for foil in foils:
    pre_edge(foil)
    autobk(foil, rbkg=1, kweight=2)
    xftf(foil, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
answers = predict_cn(foils)
for answer in answers:
    print(answer)

# %%
# Is it the first shell that speaks? :func:`larch_cnpredict.explain` takes parts of chi(R) out, one after the other, and
# says by how much ln p of the answer falls. R is not corrected for phase shift.
figure, axes = pyplot.subplots(layout="constrained")
for foil, answer in zip(foils, answers, strict=True):
    why = explain(foil)
    axes.plot(why.r, why.importance, label=f"{answer.element}, CN {answer.cn}")
axes.set(xlabel="R (Å), middle of the part taken out", ylabel="ln p of the answer falls by")
axes.legend()
pyplot.show()
