"""Model providers: where agents' model calls go, in which order, with which key."""
