"""Runs one container in the foreground and sees to it that none is left; the standard streams are the container's.

Run by file path as `python -I -S container_run.py PLAN`, standard library only: a descriptor with the JSON of the
command lines {"run", "end", "remove"} and of the environment inside, which goes by a file in memory and stands in no
command line. SIGTERM ends the container; the exit status is the command's own.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

END_SECONDS = 8.0


def main(plan_input: int) -> int:
    """Start it, wait, clean up."""
    with open(plan_input, "rb") as file:
        plan = json.load(file)
    environment = os.memfd_create("environment")
    os.write(environment, plan["environment"].encode("utf-8", "surrogateescape"))
    os.lseek(environment, 0, os.SEEK_SET)
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told_to_end.append(number))
    engine, verb, *options = plan["run"]
    client = subprocess.Popen(
        [engine, verb, f"--env-file=/proc/self/fd/{environment}", *options],
        pass_fds=(environment,),
        start_new_session=True,  # what is signalled here does not reach it by itself
    )
    os.close(environment)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(2):
        os.dup2(null, descriptor)  # the pipes end with the container
    try:
        return _wait(client, plan, told_to_end)
    finally:
        _quietly(plan["remove"])


def _wait(client: "subprocess.Popen[bytes]", plan: dict[str, Any], told_to_end: list[int]) -> int:
    while True:
        try:
            return client.wait(0.05)
        except subprocess.TimeoutExpired:
            if told_to_end:
                break
    for command in plan["end"]:
        _quietly(command)
    try:
        return client.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()
        return client.wait()


def _quietly(command: list[str]) -> None:
    """It may be gone already."""
    null = subprocess.DEVNULL
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, stdin=null, stdout=null, stderr=null, timeout=END_SECONDS, check=False)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
