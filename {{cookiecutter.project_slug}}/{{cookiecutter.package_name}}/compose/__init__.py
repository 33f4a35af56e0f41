"""READ. The composition toolkit: Luigi tasks put together from requirements and outputs.

Everything below is the template's; an update of the template may replace it.
"""

from .csv_target import CSVTarget
from .errors import ComposeError, DataError
from .files import FileTarget
from .output import LocalTargetOutput, SaltedOutput, TargetOutput
from .parquet_target import ParquetTarget
from .requirement import Requirement, RequirementList, Requires
from .salts import lineage, salt
from .stage import ExternalData, Stage
from .stub import conform, todo
from .targets import BaseDaskTarget

__all__ = [
    "BaseDaskTarget",
    "CSVTarget",
    "ComposeError",
    "DataError",
    "ExternalData",
    "FileTarget",
    "LocalTargetOutput",
    "ParquetTarget",
    "Requirement",
    "RequirementList",
    "Requires",
    "SaltedOutput",
    "Stage",
    "TargetOutput",
    "conform",
    "lineage",
    "salt",
    "todo",
]
