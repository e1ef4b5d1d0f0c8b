"""The services: messages in, messages out, over async functions that know no transport."""
