"""Routing and orchestration: the only service that decides what happens next."""
