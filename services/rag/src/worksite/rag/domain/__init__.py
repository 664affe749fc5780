"""Pure parts of the engine: chunking, identity, fusion, and the values they exchange; no I/O, no client."""
