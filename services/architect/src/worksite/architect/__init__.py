"""The architect: requests and knowledge in, Specs and cited answers out."""
