"""Where features meet: attempts run, deliveries are watched, work is dispatched, lost work is found."""
