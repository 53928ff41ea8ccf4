"""The packages whose histories are checked: what is installed of each, and how its env.py is reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PackageHistory:
    """What pip installs, in one call each; where the scripts lie; our settings and files; variables with `{home}`."""

    installs: tuple[tuple[str, ...], ...]
    scripts: str
    settings: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


# mlflow's first revision alters tables that another part of it makes.
_MLFLOW_BASELINE = """
def fill(connection):
    from mlflow.store.tracking.dbmodels.initial_models import Base
    Base.metadata.create_all(connection)
"""
# What open-webui's env.py and models import, out of its ninety requirements.
_OPEN_WEBUI_IMPORTS = (
    *("sqlalchemy[asyncio]==2.0.50", "alembic==1.18.4", "aiosqlite", "psycopg[binary]", "psycopg2-binary"),
    *("aiohttp", "bcrypt", "beautifulsoup4", "cryptography", "fastapi", "itsdangerous", "markdown", "orjson"),
    *("pillow", "pydantic", "pyjwt", "python-mimeparse", "python-socketio", "redis", "requests", "starsessions"),
    *("typer", "uvicorn"),
)
PACKAGES = {
    "optuna": PackageHistory((("optuna==5.0.0",),), "optuna:storages/_rdb/alembic"),
    "mlflow": PackageHistory(
        (("mlflow-skinny==3.17.2", "sqlalchemy", "alembic", "pandas"), ("--no-deps", "mlflow==3.18.0")),
        "mlflow:store/db_migrations",
        ("baseline = their_base:fill",),
        files={"their_base.py": _MLFLOW_BASELINE},
    ),
    "phoenix": PackageHistory(
        (("arize-phoenix==20.26.1",),), "phoenix.db:migrations", ("url_variable = PHOENIX_SQL_DATABASE_URL",)
    ),
    "openwebui": PackageHistory(
        (("--no-deps", "open-webui==0.12.4"), _OPEN_WEBUI_IMPORTS),
        "open_webui:migrations",
        ("url_variable = DATABASE_URL",),
        # It upgrades the database of its settings while it is imported, unless told not to.
        variables={
            "DATA_DIR": "{home}",
            "ENABLE_DB_MIGRATIONS": "false",
            "OFFLINE_MODE": "true",
            "WEBUI_SECRET_KEY": "scratch",
        },
    ),
    "langflow": PackageHistory(
        (("langflow-base==1.13.0", "psycopg[binary]"),),
        "langflow:alembic",
        ("drivers = sqlite+aiosqlite postgresql+psycopg",),
        variables={"LANGFLOW_CONFIG_DIR": "{home}", "DO_NOT_TRACK": "true"},
    ),
    "airflow": PackageHistory(
        (("apache-airflow-core==3.3.2",),),
        "airflow:migrations",
        ("url_variable = AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",),
        variables={"AIRFLOW_HOME": "{home}", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
    ),
}
