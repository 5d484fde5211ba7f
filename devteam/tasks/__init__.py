"""Tasks: a customer's queue, its order and its dependencies."""
