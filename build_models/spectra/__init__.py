"""From the table to spectra as a beamline measures them."""
