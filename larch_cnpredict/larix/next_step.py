"""Fits and structures in Larix: first shell in the FEFF Fitting tab, known site in the CIF browser, s02 of a foil."""

import re
from pathlib import Path

import wx
from larch.site_config import user_larchdir
from larch.xrd import find_cifs
from xraydb import chemparse

from larch_cnpredict import first_shell

from ..errors import CNPredictError
from ..reference import read_reference
from ..spectrum import spectrum_name
from . import host, table

# in the tab's own manner: N, deltar and sigma2 are named after the path, s02 and e0 are shared with others
NAMES = {
    "s02": "s02",
    "N": "N_{}",
    "e0": "e0",
    "deltar": "delr_{}",
    "sigma2": "sigma2_{}",
    "sigma2_far": "sigma2_far_{}",
}


def fit_first_shell(frame, group) -> None:
    """Add the first shell of a group to the FEFF Fitting tab. FEFF takes some seconds, then the tab is shown.

    FEFF's files stay where Larix keeps its own FEFF runs, as saved fits name them. What the user has set already stays;
    shells that came from here before do not, nor do number, bounds and ranges of another group.
    """
    frame.write_message(f"FEFF makes the first shell of {group.filename} ...")
    with wx.BusyCursor():
        shell = first_shell(group, folder=Path(user_larchdir) / "feff")
    place, page = frame.get_nbpage("feffit")
    frame.nb.SetSelection(place)
    # after a fit that is its dataset, of the same name; else a click on the tab would do this, or it fits another group
    if getattr(page.dgroup, "groupname", None) != group.groupname:
        page.fill_form(group)
    if not hasattr(frame, "cn_shell"):
        frame.cn_shell = {"of": group, "parameters": {}, "files": set()}
    last = frame.cn_shell
    another, page.resetting = last["of"] is not group, True  # or each step would be seen as the user's
    gone = remove_paths(page, last["files"])
    if not page.paths_data and (another or not gone):  # fit what it can describe, of the k that was read
        transform = shell.dataset.transform
        for name in ("kmin", "kmax", "dk", "rmin", "rmax"):
            page.wids[f"fit_{name}"].SetValue(round(getattr(transform, name), 2))
        page.wids["fit_kwindow"].SetStringSelection(transform.window.capitalize())
    present = page.get_paramgroup()
    names = {name: shown.format(shell.neighbour) for name, shown in NAMES.items()}
    for name, shown in names.items():
        if not hasattr(shell.params, name):
            continue
        made = getattr(shell.params, name)
        text = f"{made.value}, name='{shown}', vary={made.vary}"
        text += f", min={made.min}, max={made.max}" if made.vary else ""
        before = last["parameters"].get(shown, text)  # a parameter of the user's own is as it is to be
        if not hasattr(present, shown) or before != text or (another and made.vary and shown in last["parameters"]):
            page.larch_eval(f"_feffit_params.{shown} = param({text})")
            last["parameters"][shown] = text
    for path in shell.paths:
        for name in ("s02", "e0", "deltar", "sigma2"):
            renamed = re.sub(r"[A-Za-z]\w*", lambda found: names[found[0]], getattr(path, name))
            setattr(path, name, renamed)
        path.third, path.ei = "0", "0"
        page.add_path(path.filename, feffpath=path)
        last["files"].add(path.filename)
    page.resetting = page.params_need_update = False
    page.params_panel.Rebuild()
    page.skip_unused_params()
    who = f"{shell.share:.0%} of the neighbours in the nearest known sites are of its row of the periodic table"
    where = "is in the FEFF Fitting tab" + (f" in place of the shell of {last['of'].filename}" if gone else "")
    frame.write_message(f"{shell.neighbour} at {shell.distance:.2f} Å {where}; {'; '.join([who, *shell.notes])}")
    last["of"] = group


def remove_paths(page, files) -> list[str]:
    """Take the paths of these files out of the FEFF Fitting tab: to switch them off would not last, as Larix makes
    the tab anew from its paths. Groups that they were fitted to have them in fits of their own."""
    gone = [title for title, file in page.paths_data.items() if file in files]
    for title in gone:
        del page.paths_data[title]
        for paths in (page.larch.symtable._feffpaths, page.larch.symtable._feffcache["paths"]):
            paths.pop(title, None)
        pages = [page.paths_nb.GetPageText(i).strip() for i in range(page.paths_nb.GetPageCount())]
        page.paths_nb.DeletePage(pages.index(title))
    return gone


def browse_structure(tab, site: dict, absorber: str) -> None:
    """Show the structure of a known site in Larix's CIF browser; copy its number where that has none of its formula."""
    frame, formula, number = tab.parent, site["formula"], site["site"].split()[0]
    with wx.BusyCursor():
        wanted = fractions(formula)
        there = find_cifs(contains_elements=list(wanted), strict_contains=True)
        same = [cif.ams_id for cif in there if fractions(cif.formula) == wanted]
        if not same and not number.startswith("mp-"):
            return frame.write_message(f"{site['site']}, {formula}, has no structure in Larix's CIF browser")
        if not same:
            return host.copy(tab, number, f"Larix's CIF browser has no {formula}: copied {number} (Materials Project)")
        frame.onCIFBrowse()
        browser = frame.subframes["cif_feff"]
        asked = {"mineral": "", "contains_elements": ", ".join(wanted), "excludes_elements": ""}
        for name, value in (asked | {"strict_contains": True, "full_occupancy": False}).items():
            browser.wids[name].SetValue(value)
        browser.onStrict()
        browser.onSearch()
        labels = [label for label, one in browser.cif_selections.items() if one in same]
        browser.ciflist.SetStringSelection(labels[0])
        browser.onShowCIF(cif_id=browser.cif_selections[labels[0]])
        atoms = browser.wids["feff_central_atom"]
        atoms.SetStringSelection(absorber)
        chosen = wx.CommandEvent(wx.wxEVT_CHOICE, atoms.Id)
        chosen.SetString(absorber)
        browser.onFeffCentralAtom(chosen)
    return frame.write_message(f"{labels[0]} is in the CIF browser: run FEFF there for {absorber}")


def fractions(formula: str) -> dict[str, float]:
    """Share of each element, the same for Cu2O and O Cu2."""
    amounts = chemparse(formula.replace(" ", ""))
    return {symbol: round(amount / sum(amounts.values()), 3) for symbol, amount in sorted(amounts.items())}


def measure_foil(tab) -> None:
    """Fit the first shell of the current group, a metal foil, and put its s02 where s02 is asked for."""
    dgroup = tab.current()
    if dgroup is None:
        return tab.write_message(host.NO_GROUP)
    tab.write_message(f"FEFF makes the metal, and {dgroup.filename} is fitted ...")
    with wx.BusyCursor():
        _, problem = host.make_chi(tab, dgroup)
        try:
            found = read_reference(dgroup)
        except CNPredictError as error:
            return tab.write_message(problem or table.in_words_of_the_tab(str(error), spectrum_name(dgroup)))
    tab.wids["s02"].SetValue(f"{found.s02:.2f}")
    return tab.write_message(f"{dgroup.filename}: s02 = {found.s02:.2f}. Check the samples, then press Copy beside it")
