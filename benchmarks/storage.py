"""What `status` asks of object storage: each request to a server of S3 on loopback, counted."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from budgets import Bench
from measure import command, environ

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

COUNT = 100
BUCKET = "benchmark"


def measure(bench: Bench) -> None:
    from servers import MANY, proxy_to, s3_server

    project = shutil.copytree(bench.project, bench.folder / "on-s3")
    (project / "flight_scores" / "tasks.py").write_text(MANY, encoding="utf-8")
    (project / "data" / "raw" / "numbers").mkdir()
    (project / "data" / "raw" / "numbers" / "a.csv").write_text("n\n1\n")
    with s3_server(bench.folder / "s3.log") as url, proxy_to(url) as proxy:
        options = {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DATA_ROOT": f"s3://{BUCKET}/data",
            "RAW_ROOT": str(project / "data" / "raw"),
        }
        fs = _store(url)
        fs.mkdir(BUCKET)

        def run(*arguments: str) -> str:
            words = [sys.executable, "-m", "flight_scores", *arguments]
            done = command(words, cwd=project, env=environ(**options))
            if done.fault:
                raise RuntimeError(f"`{' '.join(arguments)}` failed: {done.fault}")
            return str(done.told["out"])

        run("run", "Number", "--n", "0")
        tasks = [row for row in json.loads(run("status", "--json")) if row["task"] == "Number"]
        (first,) = (row["path"] for row in tasks if row["complete"])
        manifest = fs.cat_file(f"{first}/_SUCCESS")
        fs.pipe({f"{row['path']}/_SUCCESS": manifest for row in tasks})
        proxy.counts.clear()
        done = [row for row in json.loads(run("status", "--json")) if row["task"] == "Number"]
        if len(done) != COUNT or not all(row["complete"] for row in done):
            raise RuntimeError("not all stages are complete")
        requests = Counter(proxy.counts)
    folders = {row["path"].rpartition("/")[2] for row in done}
    each = Counter(
        folder for _, path in requests.elements() for folder in folders & {*path.split("/")}
    )
    listings = sum(n for (_, path), n in requests.items() if path.strip("/") == BUCKET)
    others = requests.total() - sum(each.values())
    note = f"{COUNT} complete stages, {requests.total()} requests, {others} to no task's folder"
    bench.found("requests", [float(count) for count in each.values()], note)
    bench.found("listings", [float(listings)], "requests that list the bucket")


def _store(url: str) -> Any:
    import s3fs

    return s3fs.S3FileSystem(
        key="benchmark", secret="benchmark", endpoint_url=url, use_listings_cache=False
    )
