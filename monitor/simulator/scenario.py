"""Scenario files: what happens to the simulated vendor, when, and what an on-call engineer is told about it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationError, model_validator

from monitor.plain_files import text_of
from monitor.simulator.state import Announcement, State, Strict
from monitor.simulator.vendor import MAKES

LARGEST_BYTES = 2 * 2**20
LONGEST_SHOWN = 60
"""Characters of a faulty value that a message repeats."""
SHIPPED = Path(__file__).parent / "scenarios"


class ScenarioError(Exception):
    """The file is no scenario; the message is one line that names the file, the line and what is wrong."""


def _story_time(value: object) -> float:
    match = (
        re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", value)
        if isinstance(value, str) and value
        else None
    )
    if match is None:
        raise ValueError('write a time with its units, as in "0s", "90s", "5m" or "1h30m"')
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


StoryTime = Annotated[float, BeforeValidator(_story_time)]


class Words(Strict):
    """One sentence in both languages of the product."""

    en: str
    zh: str = ""


Sentence = Annotated[Words, BeforeValidator(lambda value: {"en": value} if isinstance(value, str) else value)]


def _state_words(changes: dict[str, Any]) -> dict[str, Any]:
    State.model_validate(changes)
    return changes


class Step(Strict):
    """One thing that happens. ``set`` takes the fields of ``State``, ``announce`` those of ``Announcement``."""

    at: StoryTime
    """Story time since the start; divided by the speed it is real time."""
    when: AwareDatetime | None = None
    """When it really happened, if it did."""
    service: str = ""
    """Empty means the scenario's own service."""
    changes: Annotated[dict[str, Any], AfterValidator(_state_words)] = Field(default={}, alias="set")
    announce: Announcement | None = None
    say: Sentence | None = None

    @model_validator(mode="after")
    def _known(self) -> Step:
        if self.service not in MAKES:
            raise ValueError(f"there is no service {self.service!r}; there are {', '.join(filter(None, MAKES))}")
        return self


class Scenario(Strict):
    """A whole story, in the order of its steps."""

    title: Sentence
    label: str = ""
    """Shown wherever the story is shown, e.g. ``reconstructed``."""
    about: Sentence | None = None
    service: str = ""
    """The troubled service; empty is the nameless one at the root."""
    speed: float = Field(default=1.0, gt=0, le=10_000)
    """Story seconds in a real second."""
    starts_at: datetime | None = None
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Scenario:
        times = [step.at for step in self.steps]
        if times != sorted(times):
            raise ValueError("the steps are not in the order of their times")
        if self.service not in MAKES:
            raise ValueError(f"there is no service {self.service!r}; there are {', '.join(filter(None, MAKES))}")
        return self

    @property
    def length_s(self) -> float:
        """Story time of the last step."""
        return self.steps[-1].at


def shipped_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that come along."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def load_scenario(name: str) -> Scenario:
    """Load a shipped scenario by name or any file by path; raises :class:`ScenarioError`."""
    path = SHIPPED / f"{name}.yaml" if name in shipped_scenarios() else Path(name)
    try:
        text = text_of(path, LARGEST_BYTES)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return Scenario.model_validate(yaml.safe_load(text))
    except OSError as error:
        why = "no such scenario" if isinstance(error, FileNotFoundError) else error.strerror
        raise ScenarioError(f"{name}: {why}; name a file or one of {', '.join(shipped_scenarios())}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{path}:{line}: {error.problem}") from error
    except (UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: no readable YAML ({type(error).__name__})") from error
    except ValidationError as error:
        raise ScenarioError(f"{path}:{_told(error, node)}") from error


def _told(error: ValidationError, node: yaml.Node | None) -> str:
    """Return line and words of the first fault. Of what stands in the file a few characters: it may be any file."""
    first = error.errors(include_url=False)[0]
    line = _line(node, first["loc"])
    if first["type"] == "model_type":
        return f"{line}: this is no valid scenario: it must be a mapping with a title and steps"
    where = ".".join(str(part) for part in first["loc"])[:LONGEST_SHOWN]
    given = first["input"] if isinstance(first["input"], str | int | float) else None
    shown = "" if given is None else f", not {given!r}" if len(str(given)) <= LONGEST_SHOWN else ""
    return f"{line}: {where}: {first['msg']}{shown}"


def _line(node: yaml.Node | None, where: tuple[int | str, ...]) -> int:
    """Return the line on which the value at that place begins, or the nearest one around it."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            pair = (node.value[part], node.value[part])
        else:
            pair = None
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line
