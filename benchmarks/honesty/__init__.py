"""How often Vouch's promises from few images are kept, over many resamplings: `make honesty`."""
