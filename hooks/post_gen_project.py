"""Write the sample of raw data, remove folders that the answers left empty, say what is next."""

import contextlib
import json
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")  # as data, never as code
SAMPLES = json.loads(r"""{{ cookiecutter.pipeline | samples | tojson }}""")
LEFT_EMPTY = ("tests/spec", "data/raw/flights", "data/raw/airports", ".github/workflows", ".github")

for path, rows in SAMPLES.items():
    folder = Path(path).parent
    if not folder.exists() or not any(folder.iterdir()):  # else there is raw data already
        folder.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(rows, encoding="utf-8", newline="\n")
for folder in LEFT_EMPTY:
    with contextlib.suppress(OSError):  # not there, or the user's own files are in it
        Path(folder).rmdir()

print(
    f"""
{ANSWERS["project_slug"]}/ holds a pipeline that runs. Next:

    cd {ANSWERS["project_slug"]}
    pipenv install --dev
    pipenv run start
    pipenv run test

Its README.md says what to edit."""
)
