"""The change log: facts in order per customer, and the changes that live pages apply."""
