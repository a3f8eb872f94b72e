"""Larix (XAS Viewer) parts: the only place that imports wx."""
