"""The validator: Changeset and Spec in, Report out. It proves or refutes, and never takes the builder's word."""
