"""The exit codes of every command. Imports nothing."""

DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

EXIT_CODES = {
    DONE: "The command succeeded.",
    FAILED: "The command failed. The last line on standard error gives the reason.",
    WRONG_USAGE: "Wrong usage: one line for each mistake, then a line that names the help.",
    INTERRUPTED: "Interrupted by Ctrl-C (SIGINT).",
    TERMINATED: "`vouch train` was ended by SIGTERM. `vouch serve` drains after SIGTERM and ends with 0.",
}
"""The meaning of each code, as shown in the reference."""
