"""The builder: imports a project, and turns a Spec into a Changeset."""
