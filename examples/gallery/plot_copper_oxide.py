"""
A spectrum that does not decide
===============================

In CuO copper has four oxygen atoms in a square at 1.95 Å and two more at 2.78 Å. The most probable number is right; the
90 % prediction set says that the spectrum alone leaves others open. Quote the set then, not one number.

:func:`larch_cnpredict.plot_cn` shows both: on the left what of chi(R) carried the answer, on the right how probable
each number is.
"""

from pathlib import Path

from larch.io import read_xdi
from larch.xafs import autobk, pre_edge, xftf

from larch_cnpredict import plot_cn, predict_cn

examples = Path("..").resolve()  # the folder of the measured spectra
cuo = read_xdi(str(examples / "CuO_liquid_nitrogen.xdi"))
cuo.mu = cuo.mutrans
pre_edge(cuo)
autobk(cuo, rbkg=1, kweight=2)
xftf(cuo, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
answer = predict_cn(cuo)
print(answer)
print(answer.advice)
figure = plot_cn(cuo)

# %%
# What an expert looks at first: the known sites whose spectra look most like this one.
for site in answer.neighbours:
    print(f"{site['formula']}: coordination number {site['cn']}, {site['shell']}")
