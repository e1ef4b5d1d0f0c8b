"""How fast Vouch serves, beside its peers: `make benchmark`, and `make benchmark-quick` in five minutes."""
