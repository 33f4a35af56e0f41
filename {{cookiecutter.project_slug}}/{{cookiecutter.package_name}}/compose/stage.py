"""READ. The two kinds of task with a schema: a stage, and data that others deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import luigi
import pyarrow as pa

from .memory import bounded, mend
from .output import SaltedOutput
from .parquet_target import ParquetTarget
from .requirement import Requires
from .reuse import reuse
from .targets import BaseDaskTarget


class Stage(luigi.Task):
    """Parquet in, Parquet out: declare `schema` and requirements, and write `transform`.

    `transform` is called with one argument for each requirement, by its name: a Dask frame where
    the target can be read as one (a list of them for a RequirementList), else the target.

    A stage with one requirement, each of whose rows comes from one row there and from nothing that
    `transform` computes or draws, may declare `rowwise = True`: parts whose source has not changed
    are then taken from an earlier output.

    A stage whose rows are sorted by a column may declare `index = "column"` and return a frame with
    that index. Whoever requires it gets such a frame, of which `loc` reads no more than it must.
    """

    schema: ClassVar[pa.Schema]
    rowwise: ClassVar[bool] = False
    index: ClassVar[str | None] = None
    requires: ClassVar[Any] = Requires()
    output: ClassVar[Any] = SaltedOutput(target_class=ParquetTarget)

    @classmethod
    def get_params(cls) -> Any:
        """The parameters, which Luigi looks for among all attributes five times for each task."""
        return _params(cls)

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Dask frame to be written, with the columns and types of `schema`."""
        raise NotImplementedError(f"{type(self).__name__} has no transform(); write one")

    def frames(self) -> dict[str, Any]:
        """What `transform` is called with."""
        return {name: _as_frames(task) for name, task in self.requires().items()}

    def run(self) -> None:
        mend()
        with bounded():
            frame = self.transform(**self.frames())
            options = {"reuse": reuse(self, frame)} if self.rowwise else {}
            self.output().write_dask(frame, **options)


class ExternalData(luigi.ExternalTask):
    """A folder of files that others deliver, with the schema that their columns must fit.

    `null_values` are the texts that stand for null; NaN does among floats. `csv_options` say what
    is special in the files:
    `csv_options: ClassVar = {"delimiter": ";", "encoding": "cp1252", "newlines_in_values": True}`.
    """

    schema: ClassVar[pa.Schema]
    null_values: ClassVar[Sequence[str]] = ("",)
    csv_options: ClassVar[Mapping[str, Any]] = {}


@cache
def _params(cls: type[Stage]) -> Any:
    return super(Stage, cls).get_params()


def _as_frames(required: Any) -> Any:
    if isinstance(required, list):
        return [_as_frames(each) for each in required]
    target = required.output()
    return target.read_dask() if isinstance(target, BaseDaskTarget) else target
