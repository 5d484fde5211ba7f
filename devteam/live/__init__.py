"""The live path: one WebSocket per page, fed by one relay per web process."""
