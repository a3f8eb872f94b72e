"""s02 of a foil, measured on the tab."""

import wx

from ..errors import CNPredictError
from ..reference import read_reference
from ..spectrum import spectrum_name
from . import host, table


def measure_foil(tab) -> None:
    """Fit the first shell of the current group, a metal foil, and put its s02 where s02 is asked for."""
    dgroup = tab.current()
    if dgroup is None:
        return tab.write_message("Read data first: there is no current group")
    tab.write_message(f"FEFF makes the metal, and {dgroup.filename} is fitted ...")
    with wx.BusyCursor():
        _, problem = host.make_chi(tab, dgroup)
        try:
            found = read_reference(dgroup)
        except CNPredictError as error:
            return tab.write_message(problem or table.in_words_of_the_tab(str(error), spectrum_name(dgroup)))
    tab.wids["s02"].SetValue(f"{found.s02:.2f}")
    return tab.write_message(f"{dgroup.filename}: s02 = {found.s02:.2f}. Check the samples, then Copy s02")
