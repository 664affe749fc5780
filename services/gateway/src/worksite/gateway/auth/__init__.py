"""Who is asking: tokens, keys, revocations, the embedded issuer."""
