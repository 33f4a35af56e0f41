"""READ. The errors that end a command with one sentence and no traceback."""


class ComposeError(Exception):
    """Something that the user can cure: the message names the thing, the fault and the cure."""


class DataError(ComposeError):
    """Data that does not fit its schema, is damaged, is missing or has changed meanwhile."""


class VersionError(ComposeError):
    """A task whose code cannot be digested, so that it needs a `__version__`."""


class RequirementError(ComposeError, TypeError):
    """A requirement that Luigi would confuse with something else."""


class InterruptError(Exception):
    """A run that was told to stop and did: the message says what is complete."""
