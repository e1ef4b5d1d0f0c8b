"""A service as a table of methods, and what they share. Knows neither models nor transports."""
