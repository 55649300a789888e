"""The log of commands that end soon: the options of every program, and a quieter default."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from monitor.logs.handler import set_up
from monitor.logs.options import FORM, LEVEL, log_options


def with_log(command: click.Command, program: str) -> None:
    """Give a command that ends soon the same options, and let it log as they say: from warnings on by default.

    It starts nothing, so what they say stays with it. A group's commands get them; whoever has them keeps its own.
    """
    if isinstance(command, click.Group):
        for each in command.commands.values():
            with_log(each, program)
    elif command.callback and not any(option.name == "log_level" for option in command.params):
        options = click.Command(None)
        log_options(options, "warning")
        for option in options.params:
            option.callback = _keep
        command.params += options.params
        command.callback = _logging(command.callback, program)


def _logging(callback: Callable[..., Any], program: str) -> Callable[..., Any]:
    @wraps(callback)
    def call(*arguments: Any, **named: Any) -> Any:
        set_up(program, {**os.environ, **click.get_current_context().meta.get(LEVEL, {})})
        return callback(*arguments, **named)

    return call


def _keep(context: click.Context, option: click.Parameter, value: str) -> None:
    variable = FORM if option.name == "log_format" else LEVEL
    context.meta.setdefault(LEVEL, {})[variable] = value
