"""Check that what is generated and committed is what the code generates now: contracts and state diagrams."""

import subprocess
import sys
import tempfile
from pathlib import Path

PARTS = (
    ("devteam.entrypoints.contracts", Path("contracts")),
    ("devteam.entrypoints.state_diagrams", Path("docs/reference")),
)


def main() -> int:
    """Print the names of the files that are out of date; 1 when there are any."""
    stale: list[Path] = []
    for module, committed in PARTS:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", module, folder], check=True)
            for fresh in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                known = committed / fresh.relative_to(folder)
                if not known.exists() or known.read_bytes() != fresh.read_bytes():
                    stale.append(known)
    for path in stale:
        print(f"{path} is out of date: run `make contracts`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
