"""How long graph, status and why take on many tasks, beside `import luigi` in a new process.

python benchmarks/questions.py [TASKS] [wide|chain]: TASKS stages (2,000) that one task requires, or
each the one before. All are complete, then the version of all changes. Prints seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from baking import bake


def main(count: int, shape: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    sys.path.insert(0, str(bake(folder, package_name="flight_scores")))
    os.environ["DATA_ROOT"] = str(folder / "data")
    import luigi
    import pyarrow as pa
    from flight_scores import cli, tasks
    from flight_scores.compose import RequirementList, Requires, Stage, lineage, salts

    class One(Stage):
        __version__ = "1"
        schema = pa.schema([("a", pa.int64())])
        number: luigi.IntParameter = luigi.IntParameter()

        def requires(self) -> Any:
            is_linked = shape == "chain" and self.number
            return {"before": One(number=self.number - 1)} if is_linked else {}

    class Pipeline(luigi.WrapperTask):
        __version__ = "1"
        requires = Requires()
        ones = RequirementList(One, number=lambda task: range(count))

    for cls in (One, Pipeline):
        cls.__module__ = tasks.__name__
        setattr(tasks, cls.__name__, cls)
    for number in range(count):
        task = One(number=number)
        path = Path(task.output().path)
        path.mkdir(parents=True)
        created = datetime.now(UTC).isoformat()
        about = {"rows": 1, "bytes": 1, "created": created, "parts": [], "lineage": lineage(task)}
        (path / "_SUCCESS").write_text(json.dumps(about), encoding="utf-8")

    def measure(*arguments: str) -> None:
        salts.forget()
        luigi.task_register.Register.clear_instance_cache()
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.perf_counter()
            status = cli.main(arguments)
            seconds = time.perf_counter() - began
        print(f"{seconds:6.2f} s  {' '.join(arguments)}{'' if status == 0 else '  FAILED'}")

    commands = (["graph"], ["graph", "--format=mermaid"], ["graph", "--format=dot"], ["status"])
    for state in ("complete", "changed"):
        print(f"{count} tasks, {shape}, {state}")
        for command in (*commands, ["why"], ["why", "One", f"--number={count - 1}"]):
            measure(*command)
        One.__version__ = "2"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import luigi"], check=True)
    print(f"{time.perf_counter() - began:6.2f} s  import luigi")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2] or ["2000"]), *(sys.argv[2:] or ["wide"]))
