"""Published models side by side. Needs no torch."""
