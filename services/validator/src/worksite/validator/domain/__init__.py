"""What is decided: pure, without input or output."""
