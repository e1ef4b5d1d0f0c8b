"""The conversation between supervisor and worker: messages, channel, questions. Knows nothing of what they do."""
