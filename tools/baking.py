"""Bake the template as a user does: with the cookiecutter command and a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[1]
KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "COMSPEC")


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without what a developer's own settings would change."""
    kept = {n: v for n, v in os.environ.items() if n in KEPT or n.startswith(("PIP_", "SSL_"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"} | more


def cookiecutter(out: Path, *options: str, **answers: str) -> subprocess.CompletedProcess[str]:
    """Run `cookiecutter TEMPLATE key=value ...` without questions; the finished process."""
    config = out / "cookiecutterrc.yaml"
    out.mkdir(parents=True, exist_ok=True)
    folders = {name: str(out / name) for name in ("cookiecutters_dir", "replay_dir")}
    config.write_text("".join(f"{name}: {path!r}\n" for name, path in folders.items()))
    given = [f"{name}={value}" for name, value in answers.items()]
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", str(config)]
    try:
        return run([*command, "-o", str(out / "baked"), *options, str(TEMPLATE), *given])
    finally:
        config.unlink()


def bake(out: Path, *options: str, **answers: str) -> Path:
    """The folder of the project that these answers give. Raises what cookiecutter said."""
    done = cookiecutter(out, *options, **answers)
    if done.returncode:
        raise RuntimeError(done.stderr)
    (project,) = (path for path in (out / "baked").iterdir() if path.is_dir())
    return project


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"env": clean_environ(), "encoding": "utf-8", "timeout": 600} | options
    return subprocess.run(command, capture_output=True, check=False, **options)
