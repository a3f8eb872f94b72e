"""From an answer to a fit in Larix: a path of the first shell in the FEFF Fitting tab, with the number as its prior."""

from pathlib import Path

import wx
from larch.site_config import user_larchdir

from larch_cnpredict import first_shell

# in the tab's own manner: N, deltar and sigma2 are named after the path, s02 and e0 are shared with others
NAMES = {"s02": "s02", "N": "N_{}", "e0": "e0", "deltar": "delr_{}", "sigma2": "sigma2_{}"}


def fit_first_shell(frame) -> None:
    """Add the first shell of the current group to the FEFF Fitting tab. FEFF takes some seconds, then the tab is shown.

    FEFF's files stay where Larix keeps its own FEFF runs, as saved fits name them. What the user has set already stays.
    """
    group = frame.controller.get_group()
    if group is None:
        return frame.write_message("No Group to fit: import one first")
    frame.write_message(f"FEFF makes the first shell of {group.filename} ...")
    with wx.BusyCursor():
        shell = first_shell(group, folder=Path(user_larchdir) / "feff")
    _, page = frame.get_nbpage("feffit")
    present, path = page.get_paramgroup(), shell.path
    names = {name: shown.format(shell.neighbour) for name, shown in NAMES.items()}
    for name, shown in names.items():
        if not hasattr(present, shown):
            made = getattr(shell.params, name)
            bounds = f", min={made.min}, max={made.max}" if made.vary else ""
            page.larch_eval(f"_feffit_params.{shown} = param({made.value}, name='{shown}', vary={made.vary}{bounds})")
    path.s02, path.e0 = f"{names['N']} * {names['s02']}", names["e0"]
    path.deltar, path.sigma2, path.third, path.ei = names["deltar"], names["sigma2"], "0", "0"
    if not page.paths_data:  # the first path: fit what it can describe, of the k that was read
        transform = shell.dataset.transform
        for name in ("kmin", "kmax", "dk", "rmin", "rmax"):
            page.wids[f"fit_{name}"].SetValue(round(getattr(transform, name), 2))
        page.wids["fit_kwindow"].SetStringSelection(transform.window.capitalize())
    page.add_path(path.filename, feffpath=path)
    page.params_panel.update()
    who = f"{shell.share:.0%} of the neighbours in the nearest known sites are of its row of the periodic table"
    frame.write_message(f"{shell.neighbour} at {shell.distance:.2f} Å is in the FEFF Fitting tab; {who}")
