"""What runs in a peer's own environment: the model as a user of that server would write it, by its documentation."""
