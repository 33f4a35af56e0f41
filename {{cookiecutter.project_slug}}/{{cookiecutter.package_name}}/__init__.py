"""A data pipeline. Run it with `python -m`, followed by this package's name."""

from . import settings
from .compose import roots

roots.load = settings.load  # read when a task first needs a path, never at import
