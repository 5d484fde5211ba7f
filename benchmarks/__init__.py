"""Figures of the product beside their peer or limit: `python -m benchmarks.<name>`, one table each."""
