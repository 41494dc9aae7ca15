"""Processes and servers: in production and in development."""
