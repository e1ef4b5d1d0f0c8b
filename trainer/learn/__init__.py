"""How a network learns: networks, recipes, losses, optimizers, and the training loop. Knows no command line."""
