"""Write the sample of raw data, remove folders that the answers left empty, say what is next."""

import os  # and nothing more: each import is waited for

SLUG = "{{ cookiecutter.project_slug }}"  # the checks let no quotation mark into either of these
FOLDERS = "{{ cookiecutter.pipeline | raw_folders | join(' ') }}"
SAMPLE = "key,value\na,1.0\na,2.0\nb,6.0\nb,\n"  # fits the schema of raw data, as baked
LEFT_EMPTY = ("tests/spec", "data/raw/flights", "data/raw/airports", ".github/workflows", ".github")

for folder in FOLDERS.split():
    os.makedirs(folder, exist_ok=True)
    if not os.listdir(folder):  # else there is raw data already
        with open(f"{folder}/sample.csv", "w", encoding="utf-8", newline="\n") as file:
            file.write(SAMPLE)
for folder in LEFT_EMPTY:
    try:  # noqa: SIM105
        os.rmdir(folder)
    except OSError:  # not there, or the user's own files are in it
        pass

print(
    f"""
{SLUG}/ holds a pipeline that runs. Next:

    cd {SLUG}
    pipenv install --dev
    pipenv run start
    pipenv run test

Its README.md says what to edit."""
)
