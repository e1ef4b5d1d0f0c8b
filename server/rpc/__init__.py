"""A service as a table of methods, and the life of each of their calls. Knows neither models nor transports."""
