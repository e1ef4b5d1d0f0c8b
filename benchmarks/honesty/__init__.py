"""How often what Vouch promises of few images is kept, over many resamplings: `make honesty`."""
