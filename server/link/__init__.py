"""Communication between supervisor and worker: messages, channel, questions. Knows nothing of their work."""
