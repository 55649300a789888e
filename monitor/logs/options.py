"""How much is logged and in which form: two options of every command, or two variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import click

LEVEL = "CHATWATCH_LOG_LEVEL"
FORM = "CHATWATCH_LOG_FORMAT"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Form(StrEnum):
    """What a line looks like."""

    TEXT = "text"
    JSON = "json"


F = TypeVar("F", bound=Callable[..., Any])


def chosen(environ: Mapping[str, str]) -> tuple[int, Form]:
    """Return the level and the form; a word that is none of them means the default: the options refuse it."""
    level = LEVELS.get(environ.get(LEVEL, "").lower(), logging.INFO)
    return level, Form.JSON if environ.get(FORM, "").lower() == Form.JSON else Form.TEXT


def log_options(command: F, level: str = "info") -> F:
    """Give a command ``--log-level`` and ``--log-format``; what they say goes to the environment, so to children."""
    for name, variable, words, default, text in (
        ("--log-format", FORM, [str(form) for form in Form], Form.TEXT.value, "How a line of the log looks."),
        ("--log-level", LEVEL, list(LEVELS), level, "What is logged: this, and what is worse."),
    ):
        command = click.option(
            name,
            type=click.Choice(words, case_sensitive=False),
            envvar=variable,
            default=default,
            show_default=f"${variable} or {default}",
            expose_value=False,
            callback=_pass_on(variable),
            help=text,
        )(command)
    return command


def _pass_on(variable: str) -> Callable[[click.Context, click.Parameter, str], None]:
    def keep(_context: click.Context, _option: click.Parameter, value: str) -> None:
        os.environ[variable] = value

    return keep
