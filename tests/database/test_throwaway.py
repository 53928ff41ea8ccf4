from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from dormatory.database.throwaway import Server


def test_a_new_database_is_empty_and_answers(postgres_server: Server) -> None:
    url = postgres_server.create_database()
    with create_engine(url).connect() as connection:
        found = connection.execute(text("select count(*) from pg_tables where schemaname = 'public'")).scalar_one()
    assert found == 0
