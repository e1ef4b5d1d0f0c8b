"""The page for people at `/`: its files, and what it shows of a model beside the REST interface."""
