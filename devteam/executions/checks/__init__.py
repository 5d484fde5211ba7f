"""DevTeam's own checks on what a task changed: facts and options in, a verdict out, nothing read and nothing done."""
