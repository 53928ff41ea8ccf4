"""The database a command acts on: how its URL may be spelled, which settings libpq gets, which secrets stay hidden."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dormatory.backends.database_url import DatabaseURL
from dormatory.backends.postgresql.url import libpq_settings
from dormatory.backends.url import Target
from dormatory.errors import MalformedURLError, UnsupportedBackendError

if TYPE_CHECKING:
    from tests.conftest import SmallProject

ROOT = Path("/project")
PRINTABLE = "".join(map(chr, range(32, 127)))


def parse(text: str) -> Target:
    return Target.parse(text, root=ROOT)


class TestSpelling:
    @pytest.mark.parametrize(
        "scheme",
        [
            "postgres",
            "postgresql",
            "postgresql+psycopg2",
            "postgresql+psycopg",
            "postgresql+asyncpg",
            "postgres+asyncpg",
        ],
    )
    def test_every_spelling_of_postgresql_reaches_psycopg2(self, scheme: str) -> None:
        target = parse(f"{scheme}://u:p@h:5433/n?sslmode=require")
        assert target.url.drivername == "postgresql+psycopg2"
        assert target.backend_name == "postgresql"
        assert target.environment({})["DATABASE_URL"].startswith(
            scheme.replace("postgres+", "postgresql+") + "://"
        ) or (scheme == "postgres")

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("sqlite:///dorm.db", "/project/dorm.db"),
            ("sqlite:///./data/../dorm.db", "/project/dorm.db"),
            ("sqlite:////var/dorm.db", "/var/dorm.db"),
            ("sqlite+pysqlite:///dorm.db", "/project/dorm.db"),
            ("  sqlite:///dorm.db\n", "/project/dorm.db"),
        ],
    )
    def test_a_relative_file_lies_below_the_project(self, text: str, path: str) -> None:
        assert parse(text).path == Path(path)

    @pytest.mark.parametrize(
        ("text", "path", "query"),
        [
            ("sqlite:///file:dorm.db?mode=ro&uri=true", "/project/dorm.db", {"mode": "ro"}),
            ("sqlite:///file:/var/a%2520b.db?nolock=1&uri=true", "/var/a b.db", {"nolock": "1"}),
            ("sqlite:///file:///var/dorm.db?immutable=1&uri=true", "/var/dorm.db", {"immutable": "1"}),
            ("sqlite:///file://localhost/var/dorm.db?uri=true", "/var/dorm.db", {}),
            ("sqlite:///dorm.db?mode=ro&timeout=3", "/project/dorm.db", {"mode": "ro", "timeout": "3"}),
        ],
    )
    def test_options_of_a_file_are_read_in_both_spellings(self, text: str, path: str, query: dict[str, str]) -> None:
        target = parse(text)
        assert (target.path, target.url.query) == (Path(path), query)
        assert parse(target.environment({})["DATABASE_URL"]) == target

    @pytest.mark.parametrize("text", ["sqlite:///x.db?mode=memory", "sqlite:///file::memory:?cache=shared&uri=true"])
    def test_a_database_in_memory_is_refused_in_both_spellings(self, text: str) -> None:
        with pytest.raises(MalformedURLError, match="in memory"):
            parse(text)

    def test_an_unknown_option_of_sqlite_is_named(self) -> None:
        with pytest.raises(MalformedURLError, match="SQLite knows no option modus"):
            parse("sqlite:///x.db?modus=ro")

    def test_an_unset_variable_means_the_development_database(self, small_project: SmallProject) -> None:
        assert small_project.project.target({}).path == small_project.root / "dormatory.db"

    @pytest.mark.parametrize(
        "text", ["", "  ", "foo", "://", "postgresql://h:port/n", "sqlite://", "sqlite:///:memory:"]
    )
    def test_what_is_no_url_is_refused_without_being_repeated(self, text: str) -> None:
        with pytest.raises(MalformedURLError) as raised:
            parse(text)
        assert not raised.value.is_failure

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://dorm:canary@canary@h/n",
            "postgresql://dorm:x@canary/canary@h/n",
            "postgresql://dorm:x@canary:canary@h/n",
            "postgresql://dorm:x@canary?canary@h/n",
            "postgresql://dorm:x@h?canary=1@h/n",
            "postgresql://dorm:x?canary=1@canary@h/n",
            "postgresql+asyncpg://dorm:x@one,canary@h/n",
        ],
    )
    def test_an_unescaped_password_is_not_shown_and_what_to_escape_is(self, text: str) -> None:
        with pytest.raises(MalformedURLError) as raised:
            parse(text)
        assert str(raised.value) == (
            f"DATABASE_URL is not usable (there is more than one @ behind {text.partition('://')[0]}://dorm:); "
            "in the password write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23"
        )

    @pytest.mark.parametrize(
        ("text", "password"),
        [
            ("postgresql://dorm:a/b@h/n", "a/b"),
            ("postgresql://dorm:a:b@h/n", "a:b"),
            ("postgresql://dorm:a?b@h/n", "a?b"),
            ("postgresql://dorm:a#b@h/n", "a#b"),
            ("postgresql://dorm:a@h/n?options=-c%20x=a@b", "a"),
        ],
    )
    def test_a_password_that_divides_in_one_way_only_is_read(self, text: str, password: str) -> None:
        target = parse(text)
        assert (target.url.password, target.url.host, target.database) == (password, "h", "n")
        assert "canary" not in str(target)

    @pytest.mark.parametrize("text", ["sqlite:///d@x/f@b.db", "sqlite:////a:b@c/d@e.db", "postgresql://h/n@x"])
    def test_an_at_sign_is_ordinary_in_a_name(self, text: str) -> None:
        assert parse(text).url.password is None

    @pytest.mark.parametrize("name", ["mysql", "oracle+oracledb", "mssql", "cockroachdb"])
    def test_another_kind_of_database_is_named(self, name: str) -> None:
        with pytest.raises(UnsupportedBackendError, match=f"{name.partition('+')[0]} databases are not supported"):
            parse(f"{name}://u:canary@h/n")


ORDINARY_URLS = """
sqlite:///x.db
sqlite:////tmp/./a//b/../x.db
sqlite:///a~b/x.db
sqlite:///x.db?mode=ro
postgresql://h/n
postgresql://u@h/n
postgres://u:p@h:5432/n
postgresql+asyncpg://u.v-w:p@h.example.org/n-1
postgresql+psycopg2://postgres@/n?host=%2Frun%2Fpg&port=5433
postgresql://u:%40%25%2F+x:y@127.0.0.1/n?sslmode=require&connect_timeout=3
postgresql:///n?port=1&host=/run/pg&application_name=deploy
postgresql://u:p@/n
postgresql://u:@h/n
postgresql://h/n%20m
postgresql://[::1]/n
postgresql://[::1]:7/n
postgresql://u%40x@h/n
postgresql://u:p%20q@one,two/n
postgresql://u@one:1,two:2/n?target_session_attrs=any
postgresql://h/n?host=/run/pg
postgresql://h:5/n?port=7
postgresql://h/n?password=p
postgresql://h/n?service=s
postgresql:///?service=s
postgresql://h/n?sslmode=a&sslmode=b
postgresql://h/n?host=one
postgresql://h/n?options=-cx%3D1
postgresql://h/n?sslmode=
postgresql://u:p@h/per%25cent
"""


@pytest.mark.skipif(make_url("x:///a%20b").database != "a b", reason="SQLAlchemy quotes database names since 2.1")
class TestAgainstSQLAlchemy:
    """A URL is read and written without SQLAlchemy, and means the same to it."""

    @given(
        *[st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]))] * 3,
        st.none() | st.integers(0, 65535),
        st.dictionaries(st.text("abc é&=%+", min_size=1), st.text("abc é&=%+/", min_size=1), max_size=3),
    )
    def test_any_parts_are_written_and_read_as_sqlalchemy_does(
        self, username: str | None, password: str | None, database: str | None, port: int | None, query: dict[str, str]
    ) -> None:
        if username is None or ":" in username:
            username = password = None
        url = DatabaseURL("postgresql", username, password, "h", port, database, query)
        expected = url.for_sqlalchemy()
        text = expected.render_as_string(hide_password=False)
        assert url.render() == text
        assert DatabaseURL.parse(text).for_sqlalchemy() == make_url(text)

    @pytest.mark.parametrize("text", [text for text in ORDINARY_URLS.split() if ":1,two" not in text])
    def test_a_text_is_read_as_sqlalchemy_does(self, text: str) -> None:
        assert DatabaseURL.parse(text).for_sqlalchemy() == make_url(text)

    @pytest.mark.parametrize("text", ["", "x", "://", "postgresql:/h", "postgresql://h:port/n", "postgresql://h:/n"])
    def test_what_sqlalchemy_does_not_read_is_refused(self, text: str) -> None:
        for parse_text in (DatabaseURL.parse, make_url):
            with pytest.raises((ValueError, ArgumentError)):
                parse_text(text)

    @pytest.mark.parametrize("text", [text for text in ORDINARY_URLS.split() if text.startswith("postgres")])
    def test_psycopg2_gets_the_same_settings_without_sqlalchemy(self, text: str) -> None:
        target = parse(text)
        url = target.sqlalchemy_url()
        keywords = url.get_dialect()().create_connect_args(url)[1]
        expected = {key: ",".join(value) if isinstance(value, tuple) else str(value) for key, value in keywords.items()}
        ports = {"port": ","} if "port" not in libpq_settings(target.url) and "," in text else {}  # libpq's default
        assert libpq_settings(target.url) | ports == expected


class TestEnvironment:
    """libpq's programs get the parts as variables; nothing leads them to another database than SQLAlchemy."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "postgresql://u:p@h:5433/n?sslmode=require&sslrootcert=/ca.pem",
                {
                    "PGHOST": "h", "PGPORT": "5433", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "n",
                    "PGSSLMODE": "require", "PGSSLROOTCERT": "/ca.pem",
                },
            ),
            (
                "postgresql://u@one:1,two:2/n?target_session_attrs=any",
                {
                    "PGHOST": "one,two", "PGPORT": "1,2", "PGUSER": "u", "PGDATABASE": "n",
                    "PGTARGETSESSIONATTRS": "any",
                },
            ),
            ("postgresql://u@one,two:2/n", {"PGHOST": "one,two", "PGPORT": ",2", "PGUSER": "u", "PGDATABASE": "n"}),
            (
                "postgresql:///n?host=/run/pg&user=u&password=a%20b&port=7",
                {"PGHOST": "/run/pg", "PGPORT": "7", "PGUSER": "u", "PGPASSWORD": "a b", "PGDATABASE": "n"},
            ),
            ("postgresql://[::1]:7/n", {"PGHOST": "::1", "PGPORT": "7", "PGDATABASE": "n"}),
            ("postgresql:///?service=prod", {"PGSERVICE": "prod"}),
        ],
        ids=["tls", "several-hosts", "one-port-missing", "everything-in-the-query", "ipv6", "service"],
    )  # fmt: skip
    def test_each_part_becomes_its_variable(self, text: str, expected: dict[str, str]) -> None:
        child = parse(text).environment({"PATH": "/bin"})
        assert {key: value for key, value in child.items() if key.startswith("PG")} == expected
        assert child["PATH"] == "/bin"

    @pytest.mark.parametrize("text", ["postgresql://u@h:7/n?sslmode=require", "postgresql://u@one:1,two:2/n"])
    def test_psycopg2_gets_the_same_settings_as_the_programs(self, text: str) -> None:
        target = parse(text)
        child = target.environment({})
        url = target.sqlalchemy_url()
        arguments = url.get_dialect()().create_connect_args(url)[1]
        assert str(arguments["host"]) == child["PGHOST"]
        assert str(arguments["port"]) == child["PGPORT"]
        assert arguments.get("sslmode") == child.get("PGSSLMODE")
        assert arguments["dbname"] == child["PGDATABASE"]

    def test_inherited_settings_that_lead_elsewhere_are_left_out(self) -> None:
        base = {"PGSERVICE": "prod", "PGDATABASE": "prod", "PGHOSTADDR": "10.0.0.1", "PGAPPNAME": "kept"}
        child = parse("postgresql://u@h/n").environment(base)
        assert "PGSERVICE" not in child
        assert "PGHOSTADDR" not in child
        assert (child["PGDATABASE"], child["PGAPPNAME"]) == ("n", "kept")

    def test_an_option_that_libpq_takes_from_no_variable_is_refused_by_name(self) -> None:
        with pytest.raises(MalformedURLError, match="option keepalives cannot be passed to psql"):
            parse("postgresql://u@h/n?keepalives=1")

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
    def test_any_password_reaches_the_child_and_comes_back_from_its_url(self, password: str) -> None:
        url = URL.create("postgresql", "u", password, "h", 5432, "n").render_as_string(hide_password=False)
        child = parse(url).environment({})
        assert child["PGPASSWORD"] == password
        assert parse(child["DATABASE_URL"]).url.password == password
        assert parse_dsn(f"password='{''.join(chr(92) + c if c in chr(92) + chr(39) else c for c in password)}'") == {
            "password": password
        }


class TestMasking:
    @pytest.mark.parametrize("password", ["canary", "c%/n:@r'y ü", PRINTABLE, string.punctuation])
    @pytest.mark.parametrize("place", ["user-info", "password", "sslpassword-like options"])
    def test_no_form_of_a_secret_is_shown(self, password: str, place: str) -> None:
        encoded = quote(password, safe="")
        text = {
            "user-info": f"postgresql://u:{encoded}@h/n",
            "password": f"postgresql://u@h/n?password={encoded}",
        }.get(place, f"postgresql://u@h/n?options={encoded}")
        target = parse(text)
        forms = {password, encoded, quote(password), quote_plus(password), repr(password)[1:-1]}
        for shown in (str(target), repr(target), f"{target}", target.mask(f"dsn: {text}; {' '.join(sorted(forms))}")):
            assert not [form for form in forms if len(form) > 3 and form in shown]
            assert "***" in shown

    def test_what_is_no_secret_stays_readable(self) -> None:
        text = "postgresql://u:p@h:7/n?sslmode=require"
        assert str(parse(text)) == "postgresql://u:***@h:7/n?sslmode=require"
        assert str(parse("postgresql:///n?host=/run/pg")) == "postgresql:///n?host=/run/pg"
        assert str(parse("sqlite:////var/x.db")) == "sqlite:////var/x.db"

    def test_an_unparsable_url_is_never_repeated(self) -> None:
        with pytest.raises(MalformedURLError) as raised:
            parse("postgresql://u:canary@h:port/n")
        assert "canary" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
