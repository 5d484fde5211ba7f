"""Searches files; started by file path as `python -I -S grep.py` so that a pattern that never ends can be killed.

Standard input is one JSON object: pattern, ignoreCase, root, files (relative to root), limit. Standard output is lines
`path:number:text`, then possibly a note.
"""

import json
import os
import re
import stat
import sys

FILE_LIMIT_BYTES = 2 * 1024 * 1024
LINE_LIMIT = 300


def main() -> None:
    """One order, one answer."""
    order = json.load(sys.stdin)
    pattern = re.compile(order["pattern"], re.IGNORECASE if order["ignoreCase"] else 0)
    left = order["limit"]
    skipped = 0
    for name in order["files"]:
        text = read(order["root"] + os.sep + name)
        if text is None:
            skipped += 1
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if pattern.search(line):
                if not left:
                    print(f"[more than {order['limit']} lines match; narrow the pattern or the path]")
                    return
                left -= 1
                print(f"{name}:{number}:{line.rstrip()[:LINE_LIMIT]}")
    if skipped:
        print(f"[{skipped} binary, unreadable or very large files were not searched]")


def read(path: str) -> "str | None":
    """A text of reasonable size, else None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > FILE_LIMIT_BYTES:
            return None
        data = file.read()
    return None if b"\0" in data[:8192] else data.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
