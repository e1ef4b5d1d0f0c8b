"""The process that verifies one version, and ends. Knows nothing of workers."""
