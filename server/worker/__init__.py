"""A worker process: starts, follows the supervisor's messages, drains."""
