"""Transports: each binds the services' tables to a network. They know no service."""
