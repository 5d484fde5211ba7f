"""Build objects, wire them, start them; no decisions here."""
