"""`python -m devteam` is the command line."""

from devteam.entrypoints.cli import main

if __name__ == "__main__":
    main()
