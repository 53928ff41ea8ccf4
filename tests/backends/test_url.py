"""The database a command acts on: every spelling of its URL, what libpq is told, and what nobody is shown."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn
from sqlalchemy.engine import URL

from dormatory.backends.url import Target
from dormatory.errors import MalformedURLError, UnsupportedBackendError

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

    def test_an_unset_variable_means_the_development_database(self) -> None:
        assert Target.from_environment(ROOT, {}).path == Path("/project/dormatory.db")

    @pytest.mark.parametrize(
        "text", ["", "  ", "foo", "://", "postgresql://h:port/n", "sqlite://", "sqlite:///:memory:"]
    )
    def test_what_is_no_url_is_refused_without_being_repeated(self, text: str) -> None:
        with pytest.raises(MalformedURLError) as raised:
            parse(text)
        assert not raised.value.is_failure

    @pytest.mark.parametrize("name", ["mysql", "oracle+oracledb", "mssql", "cockroachdb"])
    def test_another_kind_of_database_is_named(self, name: str) -> None:
        with pytest.raises(UnsupportedBackendError, match=f"{name.partition('+')[0]} databases are not supported"):
            parse(f"{name}://u:canary@h/n")


class TestEnvironment:
    """libpq's programs get the pieces by variables; nothing leads them elsewhere than SQLAlchemy goes."""

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
    def test_psycopg2_is_told_the_same_as_the_programs(self, text: str) -> None:
        target = parse(text)
        child = target.environment({})
        arguments = target.url.get_dialect()().create_connect_args(target.url)[1]
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
        with pytest.raises(MalformedURLError, match="option keepalives cannot be told to psql"):
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
