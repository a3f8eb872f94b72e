"""Shipped models, one folder for each version, and their cards."""
