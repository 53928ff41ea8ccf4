"""Calls another project's env.py as its own tools do: with its URL, modules, wrapper and Flask application."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from dormatory.backends.registry import backend_for
from dormatory.backends.url import URL_VARIABLE
from dormatory.errors import EnvironmentFailedError
from dormatory.project.env_needs import is_flask, run_with_needs
from dormatory.runtime.driver_name import driver_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from alembic.config import Config

    from dormatory.backends.url import Target
    from dormatory.project.project import Project

# What drivers call the place and the user of a database; other arguments of a connection stay as env.py gave them.
_ADDRESS_ARGUMENTS = frozenset(
    {"host", "hostaddr", "port", "user", "password", "passfile", "dbname", "database", "dsn", "service", "uri"}
)

# A settings object may refuse a URL without a host, such as that of a socket. The `host` in the query of the URL wins
# over this one, and who does not read that gets nowhere (RFC 2606).
_NO_HOST = "scratch.invalid"


def run_env(run: Callable[[], object], project: Project, target: Target, *, is_given: bool) -> None:
    """Call the function that runs env.py as the project's own tools do.

    If a connection `is_given`, what Flask's application opens goes to the target, whatever its URL.
    """
    settings, needs_flask = project.settings, is_flask(project.script_location / "env.py")
    is_redirected = is_given and (needs_flask or settings.redirect)
    calls: list[None] = []

    def run_and_count() -> None:
        calls.append(None)
        run()

    with _redirect_connections(target) if is_redirected else contextlib.nullcontext():
        run_with_needs(run_and_count, prelude=settings.prelude, wrapper=settings.wrapper, needs_flask=needs_flask)
    if not calls:
        raise EnvironmentFailedError(
            None, f"the wrapper {settings.wrapper} did not call the function that it was given"
        )


@contextlib.contextmanager
def provide_url(project: Project, target: Target, config: Config) -> Iterator[None]:
    """Give env.py the URL in every way that it may read it: configuration, -x argument, environment variables."""
    settings = project.settings
    url = target.sqlalchemy_url().set(drivername=driver_name(project, target))
    if settings.redirect and not url.host and "host" in url.query:
        url = url.set(host=_NO_HOST)
    text = url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
    if settings.database:
        config.set_section_option(settings.database, "sqlalchemy.url", text.replace("%", "%%"))
    if settings.x_argument:
        config.cmd_opts.x = [*(config.cmd_opts.x or ()), f"{settings.x_argument}={text}"]  # type: ignore[union-attr]  # the runner gives them
    variables = target.environment() | dict.fromkeys((URL_VARIABLE, *settings.url_variable), text)
    names = {name for name in os.environ.keys() | variables.keys() if os.environ.get(name) != variables.get(name)}
    before = {name: os.environ[name] for name in names if name in os.environ}
    try:
        for name in names - variables.keys():  # they would lead libpq to another database
            del os.environ[name]
        os.environ.update(variables)
        with contextlib.chdir(project.root):
            yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def _redirect_connections(target: Target) -> AbstractContextManager[None]:
    """Lead each connection of the same dialect to the target, for the length of the block."""
    return _listening(partial(_connect_to, target))


@contextlib.contextmanager
def _listening(connect: Callable[..., Any]) -> Iterator[None]:
    event.listen(Engine, "do_connect", connect)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", connect)


def _connect_to(target: Target, dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Open the connection to the target; return None, to leave it, for other dialects and our own databases."""
    if dialect.name != target.backend_name:
        return None
    ours, our_options = dialect.create_connect_args(target.sqlalchemy_url())
    if backend_for(target).is_file:
        name = str(arguments[0]) if arguments else ""
        if name in {"", ":memory:"} or Path(name).parent == target.path.parent:
            return None
        return dialect.connect(*ours, **{**options, **our_options})
    if options.get("host") == our_options.get("host"):
        return None
    kept = {key: value for key, value in options.items() if key not in _ADDRESS_ARGUMENTS}
    return dialect.connect(*ours, **{**kept, **our_options})
