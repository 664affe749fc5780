"""The HTTP side of the command: everything a client of the gateway does."""
