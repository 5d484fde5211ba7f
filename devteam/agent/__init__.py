"""The built-in coding agent: a program of its own that speaks the Agent Client Protocol on standard input and output.

It knows nothing of the engine, so any editor or engine that speaks the protocol can use it, and it starts quickly
because the protocol is spoken by hand: importing it loads the standard library and httpx.
"""
