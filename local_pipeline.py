"""The answer `pipeline`: a graph in one line, such as RawA > CleanA > ByB, ByC; RawD > ByC."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

EXAMPLE = "RawFlights > CleanFlights > AirportScores > ScoreReport; RawAirports > AirportScores"
MOST = 50  # tasks
LONGEST = 40  # letters of a name
WIDTH = 100  # columns of a line of code
HELP = "write Task > Task, Task; Task > Task"

# Task names that would hide what the generated modules import, in one spelling or another.
TOOLKIT = """
    BaseDaskTarget CSVTarget ComposeError DataError ExternalData FileTarget LocalTargetOutput
    ParquetTarget Requirement RequirementList Requires SaltedOutput Stage TargetOutput
    Annotations Any Config Dd ExternalTask Pipeline Self Task Wrapper WrapperTask
    AmbiguousClass Event Parameter Target TestNotificationsTask TaskClassAmbigiousException
    Conform Filler Frame Lineage Luigi Pa Pytest Salt Schemas Specify Stub Tasks Todo Transforms
"""
# Attributes of luigi.Task and of a Stage, which a requirement of that name would hide.
ATTRIBUTES = """
    accepts_messages batch_param_names batchable bulk_complete clone clone_parent complete deps
    disable_hard_timeout disable_window disable_window_seconds disabled dynamic_requires
    event_handler forced frames from_str_params get_param_names get_param_values get_params
    get_task_family get_task_namespace has_excessive index initialized input max_batch_size
    namespace_at_class_time no_unpicklable_properties on_failure on_success output owner_email
    param_args param_kwargs priority process_resources register remove_event_handler requires
    resources retry_count rowwise run schema set_progress_percentage set_status_message
    set_tracking_url task_family task_id task_module task_namespace to_str_params transform
    trigger_event use_cmdline_section worker_timeout
"""
WINDOWS = {"aux", "con", "nul", "prn", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"
}
AMBIGUOUS = {"I", "L", "O"}  # as the names of variables


def snake(name: str) -> str:
    """CleanCSVFiles -> clean_csv_files."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Task(NamedTuple):
    """A task of the answer, with all the names that the generated code has for it."""

    name: str
    requires: tuple[Task, ...] = ()
    folder: str = ""  # of external data

    @property
    def snake(self) -> str:
        return snake(self.name)

    @property
    def schema(self) -> str:
        return self.snake.upper()

    @property
    def reference(self) -> str:
        return f"tasks.{self.name}"

    @property
    def reminder(self) -> str:
        return f'"delete this line when {self.snake} is written"'

    @property
    def arguments(self) -> list[str]:
        """What its transform receives."""
        return [f"{each.snake}: dd.DataFrame" for each in self.requires]


def problems(answer: str, text: str) -> Iterator[str]:
    """What is wrong with the answer, if anything, in one sentence."""
    try:
        chains = _chains(text)
    except ValueError as error:
        yield f"{answer} {error}; {HELP}"
        return
    names = list(dict.fromkeys(name for chain in chains for group in chain for name in group))
    if wrong := [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)]:
        yield f"{answer} names {_listed(wrong)}, not in CapWords; write such as CleanReviews"
    elif long := [name for name in names if len(name) > LONGEST]:
        yield f"{answer} names {_listed(long)}; use at most {LONGEST} characters for a task"
    elif taken := [name for name in names if _is_taken(name)]:
        yield f"{answer} names {_listed(taken)}, which Python or the toolkit has; choose another"
    elif twins := _twins(names):
        yield f"{answer} names {_listed(twins)}, which are {snake(twins[0])!r} alike; rename one"
    elif len(names) > MOST:
        yield f"{answer} has {len(names)} tasks; use at most {MOST}"
    else:
        yield from _faults(answer, chains)


def graph(text: str) -> list[Task]:
    """The tasks of a right answer, each after all that it requires; external data first."""
    chains = _chains(text)
    requires = _requires(chains)
    names = TopologicalSorter(requires).static_order()
    tasks: dict[str, Task] = {}
    for name in sorted(names, key=lambda name: bool(requires[name])):
        short = snake(name).removeprefix("raw_")
        is_own = short not in map(snake, requires) and short not in WINDOWS
        folder = "" if requires[name] else short if is_own else snake(name)
        tasks[name] = Task(name, tuple(tasks[each] for each in requires[name]), folder)
    return list(tasks.values())


def raw_folders(text: str) -> list[str]:
    """The folders of the raw data of a right answer."""
    return [f"data/raw/{task.folder}" for task in graph(text) if not task.requires] if text else []


def mermaid(text: str) -> str:
    """The graph, or that of the worked example, as a diagram that Git hosts draw."""
    tasks = graph(text or EXAMPLE)
    names = [task.name for task in tasks]
    lines = [f'    {task.name}[("{task.name}")]' for task in tasks if not task.requires]
    lines += [
        f"    {' & '.join(each.name for each in task.requires)} --> {task.name}"
        for task in tasks
        if task.requires
    ]
    return "\n".join(["graph TD", *lines, f"    {' & '.join(names)} -.-> Pipeline"])


def fit(indent: int, begin: str, items: Sequence[str], end: str) -> str:
    """`begin`, the items with commas and `end`: on one line where they fit, else one line each."""
    space = " " * indent
    line = f"{space}{begin}{', '.join(items)}{end}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"{space}    {item},\n" for item in items)
    return f"{space}{begin}\n{inner}{space}{end}"


def _chains(text: str) -> list[list[list[str]]]:
    """Names in groups in chains: `A > B, C; D > C` is [[[A], [B, C]], [[D], [C]]]."""
    chains: list[list[list[str]]] = [[[]]]
    tokens = [(match[0], match.start()) for match in re.finditer(r"[>,;]|[^\s>,;]+", text)]
    for position, (token, start) in enumerate([*tokens, (";", len(text))]):
        if position % 2 != (token in tuple(">,;")):
            lacks = "the name of a task" if token in tuple(">,;") else "'>', ',' or ';'"
            raise ValueError(f"lacks {lacks} at [here]: {_marked(text, start)}")
        if token == ";" and len(chains[-1]) == 1:
            raise ValueError(f"leads nowhere at [here]: {_marked(text, start)}")
        if token == ";":
            chains.append([[]])
        elif token == ">":
            chains[-1].append([])
        elif token != ",":
            chains[-1][-1].append(token)
    return chains[:-1]


def _requires(chains: list[list[list[str]]]) -> dict[str, list[str]]:
    """What each task requires, in the order in which they are named."""
    requires: dict[str, dict[str, None]] = {}
    for chain in chains:
        for before, group in zip([[], *chain], chain, strict=False):
            for name in group:
                requires.setdefault(name, {}).update(dict.fromkeys(before))
    return {name: list(required) for name, required in requires.items()}


def _faults(answer: str, chains: list[list[list[str]]]) -> Iterator[str]:
    requires = _requires(chains)
    try:
        list(TopologicalSorter(requires).static_order())
    except CycleError as error:
        yield f"{answer} goes round in a circle: {' > '.join(error.args[1])}; break it"
        return
    for name in dict.fromkeys(name for chain in chains for name in chain[0]):
        if requires[name]:
            before = requires[name][0]
            yield (
                f"{answer} begins a chain with {name}, which makes it external data, "
                f"but lets it require {before}; begin with {before} > {name} instead"
            )
            return
        if snake(name) in WINDOWS:
            yield f"{answer} names {name!r}, which Windows cannot have as a folder; choose another"
            return


def _is_taken(name: str) -> bool:
    words = {*TOOLKIT.split(), *AMBIGUOUS, *dir(builtins)}
    small = {*ATTRIBUTES.split(), *keyword.kwlist, *keyword.softkwlist, *dir(builtins)}
    return name in words or snake(name) in small | {snake(word) for word in TOOLKIT.split()}


def _twins(names: list[str]) -> list[str]:
    """The first names that are one in small letters: RawCSV and RawCsv."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(snake(name), []).append(name)
    return next((each for each in alike.values() if len(each) > 1), [])


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def _marked(text: str, start: int) -> str:
    """The surroundings of a place in the text, with a mark in it."""
    before, after = text[:start].rstrip(), text[start:]
    if len(before) > 40:
        before = f"...{before[-40:]}"
    if len(after) > 20:
        after = f"{after[:20]}..."
    return f"{before} [here] {after}".strip()
