"""READ. A folder of Parquet files as a target, written in a transaction; see `parquet_writer`."""

from __future__ import annotations

from glob import escape
from typing import TYPE_CHECKING, Any

from . import frames
from .roots import is_url
from .targets import BaseDaskTarget

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pyarrow as pa

    from .reuse import Reuse


class ParquetTarget(BaseDaskTarget):
    """A folder of Parquet files."""

    declarations = ("schema", "index")
    suffix = ".parquet"

    def __init__(self, *args: Any, index: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.index = index

    def write_dask(
        self,
        frame: dd.DataFrame,
        compression: str | None = "zstd",
        write_index: bool = True,
        reuse: Reuse | None = None,
        **options: Any,
    ) -> None:
        """Write and commit the frame; options as for pyarrow.parquet.write_table.

        What `reuse` knows of its parts is not computed. Else small parts are compacted.

        Without a schema an index that has a name is written, unless `write_index` is False, and
        timestamps become microseconds, since Spark refuses nanoseconds.

        An attempt that fails removes its parts, but for what a thread is still writing, and for all
        if its commit may have reached storage: they wait for `clean`. Raises DataError before any
        data is read if the frame does not fit the schema.
        """
        from . import divisions, parquet_writer

        frames.check_dask(frame)
        if not self.flag:
            raise TypeError(f"{self.path} has no flag, so nothing could tell when it is complete")
        if not write_index:
            frame = frame.reset_index(drop=True)
        if self.schema is not None:
            meta = frame._meta
            if self.index:
                meta = divisions.unindexed(meta, self.schema, self.index)
            frames.check_meta(meta, self.schema)
        unit = "us" if self.schema is None else None
        options = {"compression": compression, "coerce_timestamps": unit} | options
        if self.replace or not self.exists():
            parquet_writer.write(self, frame, options, reuse)

    def head(self, rows: int) -> pa.Table:
        """The first rows, as written, without pandas."""
        import pyarrow as pa
        from pyarrow import parquet

        tables: list[pa.Table] = []
        for path in self.files(check=True):
            with self.fs.open(path) as file:
                # Arrow's threads over a Python file can outlive the interpreter, and abort it.
                tables.append(parquet.ParquetFile(file, pre_buffer=False).read(use_threads=False))
            if sum(table.num_rows for table in tables) >= rows:
                break
        return pa.concat_tables(tables).slice(0, rows)

    def sources(self) -> list[list[tuple[Any, ...]]]:
        names = [self.name(path) for path in _sorted(self.files())]
        return [[(name, name.rpartition("/")[0])] for name in names]  # which may be year=2013

    def _read(self, files: list[str], columns: Any, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd
        from dask import config
        from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

        # Dask sets and resets this while it reads; were it absent, all of `distributed` would go.
        nframes = {"distributed": {"diagnostics": {"computations": {"nframes": 0}}}}
        if not config.get("distributed", None):
            config.update_defaults(nframes)
        files = _sorted(files)
        names = [self.name(path) for path in files]
        # Folders further up, such as year=2013, tell nothing of rows, and [ is no pattern.
        if self.schema is None or self.index or is_url(self.path):
            files = [escape(path) for path in files]
            options = {"storage_options": self.storage_options or None} | options
            if not any("/" in name for name in names):
                options = {"dataset": {"partitioning": None}} | options
        else:  # with Arrow's file system, in which Dask does not find divisions
            files, within = names, SubTreeFileSystem(self.path, LocalFileSystem())
            options = {"filesystem": within} | options
        if self.schema is None:
            return dd.read_parquet(files, columns=columns, filters=filters, **options)
        if self.index:
            options = {"index": self.index, "calculate_divisions": True} | options
        columns = self.schema.names if columns is None else columns
        columns = [name for name in columns if name != options.get("index")]
        options = {"dtype_backend": "pyarrow"} | options
        frame = dd.read_parquet(files, columns=columns, filters=filters, **options)
        if self.index and not frame.known_divisions:  # Dask's one of no rows has all columns
            options["calculate_divisions"] = False
            frame = dd.read_parquet(files, columns=columns, filters=filters, **options)
        # Where another program wrote it, the files may hold no dtypes for Dask to find.
        dtypes = frames.empty_frame(self.schema, list(frame.columns)).dtypes.to_dict()
        return frame if frame._meta.dtypes.to_dict() == dtypes else frame.astype(dtypes)


def _sorted(files: list[str]) -> list[str]:
    """In the order of the numbers in their names, as Dask sorts most of them."""
    from dask.utils import natural_sort_key

    return sorted(files, key=natural_sort_key)
