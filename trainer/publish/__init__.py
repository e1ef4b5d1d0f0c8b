"""What a bundle has besides the graph: the card, the validation split, and how the model was made."""
