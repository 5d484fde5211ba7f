"""Stands for `podman` and `docker`: takes exactly the options that a fence may use, and runs the command in bubblewrap.

`python container_engine.py STATE VERB ...`, where STATE is a folder of running containers. An option that is missing or
unknown ends with 125, as with the real programs. It keeps no limits: that only the real ones do.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

IMAGE = "localhost/agents:1"


def run(state: Path, words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run", allow_abbrev=False, exit_on_error=False)
    for flag in ("--rm", "--interactive", "--read-only"):
        parser.add_argument(flag, action="store_true", required=True)
    required = (
        "--pull", "--name", "--label", "--network", "--cap-drop", "--pids-limit", "--cpus", "--memory", "--memory-swap",
        "--user", "--hostname", "--log-driver", "--workdir", "--tmpfs", "--entrypoint", "--env-file",
    )  # fmt: skip
    for option in required:
        parser.add_argument(option, required=True)
    parser.add_argument("--userns")
    for option in ("--security-opt", "--ulimit", "--mount"):
        parser.add_argument(option, action="append", required=option == "--security-opt", default=[])
    parser.add_argument("image")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(words)
    assert given.image == IMAGE, "no such image"
    assert (given.network, given.cap_drop, given.pull, given.entrypoint) == ("none", "ALL", "never", "")
    assert "no-new-privileges" in given.security_opt
    assert given.memory == given.memory_swap
    assert given.memory.endswith("b")
    assert int(given.pids_limit) > 0 < float(given.cpus)
    (state / f"{given.name}.json").write_text(json.dumps({"label": given.label, "words": words, "pid": os.getpid()}))
    inside = dict(line.split("=", 1) for line in Path(given.env_file).read_text().splitlines())
    argv = [
        *("bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"),
        *("--disable-userns", "--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr"),
        *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--tmpfs", "/tmp"),
    ]
    for mount in given.mount:
        parts = dict(part.partition("=")[::2] for part in mount.split(","))
        assert parts.keys() <= {"type", "source", "destination", "readonly"}, mount
        assert parts["type"] == "bind"
        argv += ["--ro-bind" if "readonly" in parts else "--bind", parts["source"], parts["destination"]]
    for name, value in inside.items():
        argv += ["--setenv", name, value]
    child = subprocess.Popen([*argv, "--remount-ro", "/", "--chdir", given.workdir, "--", *given.command])
    signal.signal(signal.SIGUSR1, lambda *_: child.kill())
    code = child.wait()
    (state / f"{given.name}.json").unlink(missing_ok=True)
    return code if code >= 0 else 128 - code


def main(state: Path, verb: str, words: list[str]) -> int:
    state.mkdir(exist_ok=True)
    known = {file.stem: json.loads(file.read_text()) for file in state.glob("*.json")}
    match verb, words:
        case "run", _:
            return run(state, words)
        case "kill", ["--signal", "KILL", name]:
            os.kill(known[name]["pid"], signal.SIGUSR1)
        case "rm", ["--force", name]:
            (state / f"{name}.json").unlink()
        case "ps", ["--all", "--filter", filtered, "--format", "{{.Names}}"]:
            print("\n".join(name for name, made in known.items() if f"label={made['label']}" == filtered))
        case _:
            raise ValueError(f"{verb} {words}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
    except (AssertionError, ValueError, KeyError, OSError, argparse.ArgumentError) as error:
        print(f"Error: {error!r}", file=sys.stderr)
        sys.exit(125)
