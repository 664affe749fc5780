"""What the builder decides, without touching git, files or the bus."""
