"""How right and how fast `vouch train` is on several sets of images, with its default settings: `make training`."""
