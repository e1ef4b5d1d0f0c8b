"""What callers can ask for. Knows no transport: any of them binds the same tables."""
