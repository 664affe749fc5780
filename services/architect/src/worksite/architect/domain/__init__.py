"""What the architect decides, without I/O."""
