"""`python -m devteam.agent`."""

from devteam.agent.acp import main

if __name__ == "__main__":
    main()
