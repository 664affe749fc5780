"""The user's own repository: what is sent from it, and what is brought into it."""
