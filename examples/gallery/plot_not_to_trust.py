"""
When not to trust an answer
===========================

Noise is added to chi(k) of a copper foil until nothing but noise is left. There is always a most probable number. What
tells that it is void is ``in_domain``, and the notes say why.
"""

from pathlib import Path

import numpy as np
from larch.io import read_ascii
from larch.xafs import autobk, pre_edge, xftf

from larch_cnpredict import CNPredictError, predict_cn

examples = Path("..").resolve()  # the folder of the measured spectra
foil = read_ascii(str(examples / "Cu_foil_liquid_nitrogen.dat"))
pre_edge(foil)
autobk(foil, rbkg=1, kweight=2)
clean = foil.chi.copy()
noise = np.random.default_rng(1).normal(size=clean.size)
for sigma in (0, 0.003, 0.01, 0.03, 0.1):
    foil.chi = clean + sigma * noise
    xftf(foil, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    answer = predict_cn(foil)
    print(f"noise {sigma}: CN {answer.cn}, {answer.set_text}, {answer.verdict}")
print(answer.notes)

# %%
# An element or an edge that the models do not know is not guessed but refused, and the group stays as it was.
try:
    predict_cn(foil, element="Br")
except CNPredictError as error:
    print(error)
