"""From structures to a table of chi(k): what FEFF8L and CrystalNN say of each site."""
