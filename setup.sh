#!/usr/bin/env bash
# Set up in .venv (or $VENV), then:
#   ./setup.sh predict [FILE...]   predict measured spectra (the examples, where no file is named)
#   ./setup.sh test [PYTEST ARG...]   everything for development, then the tests
#   ./setup.sh develop   everything for development, no more
# $PYTHON: the Python to use (python3). $TORCH_INDEX: where the CPU build of torch comes from, if not from pip's own
# settings (https://download.pytorch.org/whl/cpu is PyTorch's); it is a tenth of the size of the CUDA build.
set -euo pipefail
cd "$(dirname "$0")"
venv=${VENV:-.venv}
log=$(mktemp -t larch-cnpredict-setup.XXXXXX)

quietly() { # pip and apt say much: shown only where they fail
    "$@" >>"$log" 2>&1 || { tail -n 60 "$log" >&2; echo "failed: $* (all of it: $log)" >&2; exit 1; }
}

environment() {
    [ -x "$venv/bin/python" ] || quietly "${PYTHON:-python3}" -m venv "$venv"
    quietly "$venv/bin/pip" install --upgrade pip # Python 3.11 comes with one that takes twice as long
}

# --no-compile: Larch brings some 20,000 files of Python, of which few are ever used; Python compiles those when they are
develop() {
    environment
    # torch first, so that the extras below find the CPU build there already
    quietly "$venv/bin/pip" install --no-compile "torch==2.13.0" ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}
    quietly "$venv/bin/pip" install --no-compile --editable ".[build,series,docs,test]"
    larix
}

# PyPI has no wxPython wheel for Linux. Debian's works with Debian's version of Python, and only its wx folder is taken:
# its other packages would hide newer ones.
larix() {
    local wx=/usr/lib/python3/dist-packages/wx site
    if ! { [ -d $wx ] && command -v Xvfb >/dev/null; } && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        quietly apt-get update
        quietly env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-wxgtk4.0 xvfb
    fi
    if [ ! -d $wx ]; then
        echo "no wx: the tests of Larix will be skipped (Debian: apt-get install python3-wxgtk4.0 xvfb)"
        return
    fi
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    ln -sfn $wx "$site/wx"
    if ! "$venv/bin/python" -c 'import wx' 2>>"$log"; then
        rm "$site/wx"
        echo "Debian's wx is not for this Python: the tests of Larix will be skipped (try PYTHON=/usr/bin/python3)"
        return
    fi
    quietly "$venv/bin/pip" install --no-deps wxmplot wxutils sitka_spruce darkdetect
    quietly "$venv/bin/pip" install jeepney pytz vispy pyopengl zarr fsspec
}

what=${1:-}
shift || true
case $what in
    predict)
        environment
        # nobody installs it twice, so nothing is kept for another time
        quietly "$venv/bin/pip" --no-cache-dir install --no-compile .
        [ $# -gt 0 ] || set -- examples/*.xdi examples/*.dat
        "$venv/bin/larch-cnpredict" predict "$@"
        cat <<NEXT

cn_set holds the true number for nine of ten simulated spectra, less often where it is rare. What the verdict says:
  ok          one number is left
  undecided   quote the set and the mean
  several     quote the mean
  outside     do not use the answer; not every spectrum that the models do not know is found
Next:
  $venv/bin/larch-cnpredict predict FILE...   your own spectra
  $venv/bin/larch-cnpredict install           predict_cn in the Larch shell and in Larix, from their next start on
  $venv/bin/larch-cnpredict info              how good the models are, and where they fail
NEXT
        ;;
    test)
        develop
        "$venv/bin/pytest" "$@"
        ;;
    develop) develop ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
