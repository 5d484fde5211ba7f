"""Small parts that know nothing of the product: clock, ids, errors, database, logging, environment."""
