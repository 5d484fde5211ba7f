"""Workers: processes that run attempts, their heartbeats and leases."""
