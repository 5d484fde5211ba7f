"""Executors: what does the work of a task."""
