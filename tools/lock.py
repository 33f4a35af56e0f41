"""Lock the development requirements anew, without the address of any package index."""

from __future__ import annotations

import json
import subprocess
import sys

from baking import TEMPLATE, clean_environ


def main() -> int:
    command = [sys.executable, "-m", "pipenv", "lock", "--dev"]
    if status := subprocess.call(command, cwd=TEMPLATE, env=clean_environ()):
        return status
    path = TEMPLATE / "Pipfile.lock"
    lock = json.loads(path.read_text(encoding="utf-8"))
    lock["_meta"]["sources"] = []
    for group in ("default", "develop"):
        for package in lock[group].values():
            package.pop("index", None)
    path.write_text(json.dumps(lock, indent=4) + "\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
