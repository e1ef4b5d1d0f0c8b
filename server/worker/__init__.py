"""A worker process: starts, follows what the supervisor says, drains."""
