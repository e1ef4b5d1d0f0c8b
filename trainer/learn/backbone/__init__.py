"""Networks that others have trained, as they are: images in, features out."""
