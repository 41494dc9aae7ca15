"""Bytes and headers: what clients send and what is sent to them. Knows no application."""
