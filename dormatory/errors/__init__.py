"""Every error that a user can meet: what happened, why, and what to do next. One module for each subject."""

# ruff: noqa: F403  # an error is listed once, where it is defined; the modules hold nothing else that is public
from __future__ import annotations

from dormatory.errors.base import *
from dormatory.errors.databases import *
from dormatory.errors.files import *
from dormatory.errors.programs import *
from dormatory.errors.projects import *
from dormatory.errors.requests import *
