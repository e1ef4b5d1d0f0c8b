"""Vouch's speed of serving, compared with its peers: `make benchmark`, and `make benchmark-quick` in five minutes."""
