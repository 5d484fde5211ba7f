"""Incidents: what went wrong during an attempt and matters, with its evidence, until somebody settled it."""
