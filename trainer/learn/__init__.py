"""How a network learns: networks, recipes, losses, optimizers, and the loop that fits. Knows no command line."""
