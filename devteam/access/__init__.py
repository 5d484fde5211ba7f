"""Who may do what: users, roles, grants per customer, sessions."""
