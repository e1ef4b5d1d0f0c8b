"""The services that callers use. They know no transport: any transport serves the same tables."""
