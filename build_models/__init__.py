"""From crystal structures to the shipped models: `python -m build_models --help`."""
