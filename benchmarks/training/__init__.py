"""Accuracy and speed of `vouch train` on several data sets, with its default settings: `make training`."""
