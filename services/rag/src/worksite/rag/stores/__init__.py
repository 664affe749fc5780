"""The shipped implementations of the vector store port."""
