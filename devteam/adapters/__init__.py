"""The outside world behind ports: each subpackage speaks to one kind of outside system."""
