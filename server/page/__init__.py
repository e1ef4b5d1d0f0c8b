"""The page for people at `/`: its files, and what it shows of a model in addition to the REST interface."""
