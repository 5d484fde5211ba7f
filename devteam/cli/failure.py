"""How a command ends badly: one line on standard error and an exit code, never a traceback."""

BAD_INPUT = 2
"""The command line, or the state of what it names, does not allow it."""
FAILED = 1
"""Something broke that is not the caller's doing, such as a lost connection."""
INTERRUPTED = 130
_LONGEST = 2000


class CliError(Exception):
    """A command that cannot be done; the message is one sentence for a person."""

    def __init__(self, message: str, *, code: int = BAD_INPUT) -> None:
        super().__init__(one_line(message))
        self.code = code


def one_line(text: str) -> str:
    """Text from anywhere as a single printable line."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
