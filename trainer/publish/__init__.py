"""What lies beside the graph in a bundle: the card and where it came from."""
