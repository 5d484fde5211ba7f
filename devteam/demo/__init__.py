"""The demo: five customers whose projects are real open-source packages, and the tasks they queue.

`packages` fetches the packages by name with pinned hashes, `importer` makes git repositories of them, `tasks`
holds the customers, projects and tasks as data. Nothing here knows the engine: an entry point sends the data
over HTTP.
"""
