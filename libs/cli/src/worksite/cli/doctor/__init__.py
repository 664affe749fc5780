"""`worksite doctor`: what this machine lacks, one finding per check, each with its remedy."""
