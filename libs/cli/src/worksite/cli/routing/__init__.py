"""Measuring how requests are routed: labelled requests, figures, a report."""
