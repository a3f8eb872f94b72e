"""Figures, cards, and the folder of models that ships."""
