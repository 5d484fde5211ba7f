"""Projects: one git repository of a customer with its gates and delivery mode."""
