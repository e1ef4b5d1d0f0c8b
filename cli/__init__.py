"""What the programs' command lines have in common: settings, progress, the last line, exit codes.

Knows none of the programs.
"""
