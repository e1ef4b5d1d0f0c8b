"""One loaded version: arrays in, rows out. Knows no request, no protocol and no other version."""
