"""What every Worksite service must agree on, and nothing else."""
