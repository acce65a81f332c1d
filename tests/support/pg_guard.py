"""Stop a server and remove its folder as soon as the process that started it is gone, in whatever way.

Run as a program of its own, it waits for a line on its standard input or for the end of it; the launcher holds the
other side open. A fixture's clean-up does not run when pytest is killed, or when a time-out ends it by `os._exit`; a
pipe closes even then. Only the standard library, and nothing of ours: it is started with `python -I -S`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(workspace: Path) -> None:
    """Wait, then stop the server whose data lies in `workspace` (if it runs) and remove `workspace`."""
    sys.stdin.buffer.readline()
    stop = workspace / "stop"  # the launcher writes the command that stops the server, one argument a line
    if stop.exists():
        owner = stop.stat()
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        quiet = subprocess.DEVNULL
        command = stop.read_text().splitlines()
        subprocess.run(command, cwd="/", stdout=quiet, stderr=quiet, check=False, timeout=60, **account)  # type: ignore[call-overload]
    shutil.rmtree(workspace, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
