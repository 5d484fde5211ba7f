"""Customers, the card that shows each, and the transaction that changes one."""
