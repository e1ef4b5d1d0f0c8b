"""vouch.v1.Classifier."""
