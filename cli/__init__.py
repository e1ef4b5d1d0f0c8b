"""What all command lines share: settings, progress, the JSON line, exit codes.

Knows none of the programs.
"""
