"""Hostile requests, sent in every way that a request can come."""
