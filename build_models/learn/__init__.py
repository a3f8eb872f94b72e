"""From spectra to calibrated models."""
