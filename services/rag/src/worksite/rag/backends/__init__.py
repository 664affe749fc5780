"""The shipped implementations of the model backend port."""
