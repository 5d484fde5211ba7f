"""Durable workflows on DBOS; the only package that knows it. It knows no customer and no task."""
