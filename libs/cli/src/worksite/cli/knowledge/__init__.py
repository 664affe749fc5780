"""The user's own notes and sources on their way into the knowledge base."""
