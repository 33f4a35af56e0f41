"""Say what was made and what to type next; remove the folders that the answers left empty."""

import contextlib
import json
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")  # as data, never as code

for folder in (".github/workflows", ".github"):
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
