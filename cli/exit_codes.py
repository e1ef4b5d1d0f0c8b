"""The exit codes of every command. Imports nothing."""

DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

EXIT_CODES = {
    DONE: "The command has done what it was asked.",
    FAILED: "It failed. The last line on standard error says why.",
    WRONG_USAGE: "Wrong usage: one line for each mistake, then one that names the help.",
    INTERRUPTED: "Interrupted by Ctrl-C (SIGINT).",
    TERMINATED: "`vouch train` was ended by SIGTERM. `vouch serve` ends with 0 then, after it has drained.",
}
"""What each one means, as the reference has it."""
