"""Programs that run in a peer's own environment: the model as a user of that server writes it, by its documentation."""
