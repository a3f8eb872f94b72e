"""
From the answer to a fit
========================

A coordination number from amplitudes alone is no better than s02 and sigma2, which a fit cannot tell from it.
:func:`larch_cnpredict.first_shell` starts the fit of the first shell with what the models know: N begins at the
predicted mean and is held to its 90 % interval. Path, parameters and dataset are Larch's own, ready for feffit, and
free to be changed.
"""

from pathlib import Path

from larch.io import read_xdi
from larch.xafs import autobk, feffit, feffit_report, pre_edge, xftf
from matplotlib import pyplot

from larch_cnpredict import first_shell, predict_cn

examples = Path("..").resolve()  # the folder of the measured spectra
cuo = read_xdi(str(examples / "CuO_liquid_nitrogen.xdi"))
cuo.mu = cuo.mutrans
pre_edge(cuo)
autobk(cuo, rbkg=1, kweight=2)
xftf(cuo, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
print(predict_cn(cuo))
shell = first_shell(cuo)
print(f"{shell.neighbour} at {shell.distance:.2f} Å; {shell.share:.0%} of the like sites' neighbours are of its row")

# %%
# The fit itself, as with any other path. Where N ends at a bound, amplitudes and models disagree: look at s02, which is
# 0.85 unless you say it, at over-absorption, and at the answer.
result = feffit(shell.params, shell.dataset)
print(feffit_report(result))
figure, axes = pyplot.subplots(layout="constrained")
fitted = result.datasets[0]
for name, group in (("CuO", fitted.data), ("first shell", fitted.model)):
    axes.plot(group.r, group.chir_mag, label=name)
axes.set(xlim=(0, 6), xlabel=r"$R \rm\,(\AA)$", ylabel=r"$|\chi(R)| \rm\,(\AA^{-3})$")
axes.legend()
pyplot.show()
