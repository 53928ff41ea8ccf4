"""The files of backups: separate for each database, in order whatever the clock says, and limited in number."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.registry import backend_for
from dormatory.errors import BackupFailedError, InvalidSettingError, MissingBackupError
from dormatory.report.messages import backup_lines
from dormatory.safety import backups

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target
    from tests.conftest import SmallProject


@pytest.fixture
def target(small_project: SmallProject) -> Target:
    """A file with a table in it, at 001."""
    small_project.write_table_revisions("a")
    return upgrade_database(small_project, "x.db")


def upgrade_database(project: SmallProject, name: str) -> Target:
    url = f"sqlite:///{project.root / name}"
    project.upgrade(url)
    return project.project.target({"DATABASE_URL": url})


def limit_backups(project: SmallProject, number: object) -> None:
    with (project.root / "alembic.ini").open("a") as file:
        file.write(f"[dormatory]\nbackups = {number}\n")


class FakeClock:
    """Stands still until a test sets it; otherwise it is the real one."""

    time = datetime(2031, 5, 17, 12, tzinfo=UTC)
    strptime = staticmethod(datetime.strptime)

    def now(self, zone: object) -> datetime:
        assert zone is UTC
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that names of backups are made with."""
    clock = FakeClock()
    monkeypatch.setattr(backups, "datetime", clock)
    return clock


class TestDirectory:
    def test_it_is_private_and_ignored_by_git(self, small_project: SmallProject, target: Target) -> None:
        file = backups.create_backup(small_project.project, target)
        assert file.parent == small_project.root / ".dormatory" / "backups"
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        subprocess.run(["git", "init", "--quiet"], cwd=small_project.root, check=True)
        seen = subprocess.run(["git", "status", "--porcelain"], cwd=small_project.root, check=True, capture_output=True)
        assert b".dormatory" not in seen.stdout
        assert b"alembic.ini" in seen.stdout

    def test_a_directory_that_was_open_to_others_is_closed(self, small_project: SmallProject, target: Target) -> None:
        home = backups.backup_directory(small_project.project)
        home.mkdir(parents=True, mode=0o755)
        backups.create_backup(small_project.project, target)
        assert home.stat().st_mode & 0o777 == 0o700

    def test_a_directory_that_cannot_be_created_is_named(self, small_project: SmallProject, target: Target) -> None:
        place = small_project.root / ".dormatory"
        place.write_text("a file of somebody")
        with pytest.raises(BackupFailedError) as raised:
            backups.create_backup(small_project.project, target)
        assert str(raised.value) == (
            f"{target} was not backed up ({place}/backups: Not a directory); nothing was changed; "
            "check owner, mode and free space there"
        )

    def test_a_failed_backup_leaves_no_file_behind(self, small_project: SmallProject, target: Target) -> None:
        target.path.write_bytes(b"no database " * 400)
        with pytest.raises(BackupFailedError):
            backups.create_backup(small_project.project, target, "001")
        left = os.listdir(backups.backup_directory(small_project.project))  # noqa: PTH208  # names are what is compared
        assert left == [".gitignore"]


class TestNames:
    def test_they_contain_database_number_time_and_revision(
        self, small_project: SmallProject, target: Target, clock: FakeClock
    ) -> None:
        file = backups.create_backup(small_project.project, target)
        label, number, taken, revision, suffix = file.name.split(".")
        assert (label[:2], number, taken, revision, suffix) == ("x-", "000001", "20310517T120000Z", "001", "db")
        (found,) = backups.existing_backups(small_project.project)
        assert (found.file, found.database, found.number, found.revision) == (file, "x", 1, "001")
        assert (found.taken_at, found.size_bytes) == (clock.time, file.stat().st_size)

    def test_they_hold_no_secret_and_no_odd_character(self, small_project: SmallProject) -> None:
        url = "postgresql://canary:secr%2Ft@db.example.org/x?password=secr%2Ft&options=-csecret"
        target = small_project.project.target({"DATABASE_URL": url}).with_database("Größe ../'x")
        key = backups._database_key(target)
        assert key.startswith("Gr__e_")
        assert key.replace("-", "").replace("_", "").isalnum()
        for secret in ("canary", "secr", "example"):
            assert secret not in key

    def test_a_database_is_the_same_for_every_user_and_password_and_another_on_every_server(
        self, small_project: SmallProject
    ) -> None:
        urls = ("a:x@one/shop", "b:y@one/shop", "a:x@two/shop", "a:x@one/shop_2", "a:x@one:5433/shop")
        keys = [
            backups._database_key(small_project.project.target({"DATABASE_URL": f"postgresql://{part}"}))
            for part in urls
        ]
        assert keys[0] == keys[1]
        assert len(set(keys)) == 4

    def test_a_revision_of_any_text_fits(self, small_project: SmallProject, target: Target) -> None:
        file = backups.create_backup(small_project.project, target, "ä/../../etc " * 20)
        assert file.parent == backups.backup_directory(small_project.project)
        assert backups.existing_backups(small_project.project)[0].file == file

    def test_an_unknown_revision_does_not_prevent_a_backup(self, small_project: SmallProject, target: Target) -> None:
        small_project.write_env("raise environment.CommandError('the settings are incomplete')")
        assert backups.create_backup(small_project.project, target).name.split(".")[3] == "unknown"


class TestOrder:
    def test_a_clock_that_goes_back_changes_nothing(
        self, small_project: SmallProject, target: Target, clock: FakeClock
    ) -> None:
        made = []
        for hours in (0, -48, 0, 96):  # twice at the same second, too
            clock.time += timedelta(hours=hours)
            made.append(backups.create_backup(small_project.project, target, "001"))
        assert len(set(made)) == 4
        assert [backup.file for backup in backups.existing_backups(small_project.project)] == made[::-1]
        assert backups.latest_backup(small_project.project, target).file == made[-1]

    def test_only_the_oldest_backups_of_this_database_are_deleted(
        self, small_project: SmallProject, target: Target, clock: FakeClock
    ) -> None:
        limit_backups(small_project, 2)
        other = upgrade_database(small_project, "other/../y.db")
        kept = [backups.create_backup(small_project.project, other, "001") for _ in range(2)]
        made = []
        for _ in range(4):
            clock.time -= timedelta(hours=1)
            made.append(backups.create_backup(small_project.project, target, "001"))
        found = {backup.file for backup in backups.existing_backups(small_project.project)}
        assert found == {*kept, *made[-2:]}

    def test_two_files_of_one_name_do_not_share_their_backups(
        self, small_project: SmallProject, target: Target
    ) -> None:
        (small_project.root / "deep").mkdir()
        deep = upgrade_database(small_project, "deep/x.db")
        file = backups.create_backup(small_project.project, target)
        with pytest.raises(MissingBackupError) as raised:
            backups.latest_backup(small_project.project, deep)
        assert backups.latest_backup(small_project.project, target).file == file
        assert str(raised.value) == (
            f"there is no backup of {deep} ({file.parent} holds none); "
            "inv db.backups lists those of other databases, inv db.restore FILE takes any"
        )

    def test_the_backup_being_restored_is_not_deleted(self, small_project: SmallProject, target: Target) -> None:
        limit_backups(small_project, 1)
        first = backups.create_backup(small_project.project, target)
        with (
            backend_for(target).backup.replacement(target) as replacement,
            backups.backup_before_replacement(small_project.project, target, protected=first) as second,
        ):
            replacement.restore(first)
        assert {backup.file for backup in backups.existing_backups(small_project.project)} == {first, second}
        third = backups.create_backup(small_project.project, target)
        assert [backup.file for backup in backups.existing_backups(small_project.project)] == [third]

    def test_a_failed_backup_deletes_none(self, small_project: SmallProject, target: Target) -> None:
        limit_backups(small_project, 1)
        file = backups.create_backup(small_project.project, target)
        target.path.write_bytes(b"no database " * 400)
        with pytest.raises(BackupFailedError):
            backups.create_backup(small_project.project, target, "001")
        assert [backup.file for backup in backups.existing_backups(small_project.project)] == [file]

    @pytest.mark.parametrize("number", [0, -1, "many", ""])
    def test_a_number_that_keeps_none_is_refused(self, small_project: SmallProject, number: object) -> None:
        limit_backups(small_project, number)
        with pytest.raises(InvalidSettingError, match="at least 1"):
            _ = small_project.project


class TestListing:
    def test_what_is_no_finished_backup_is_not_listed(self, small_project: SmallProject, target: Target) -> None:
        file = backups.create_backup(small_project.project, target)
        (file.parent / file.name.replace("000001", "000002")).touch()  # reserved, and killed
        (file.parent / "notes.txt").write_text("mine")
        assert [backup.file for backup in backups.existing_backups(small_project.project)] == [file]
        assert backups.create_backup(small_project.project, target).name.split(".")[1] == "000003"

    def test_it_has_columns(self, small_project: SmallProject, target: Target, clock: FakeClock) -> None:
        file = backups.create_backup(small_project.project, target)
        (line,) = backup_lines(backups.existing_backups(small_project.project))
        assert line == f"{clock.time:%Y-%m-%d %H:%M:%SZ}  x  001  {file.stat().st_size:,} bytes  {file}"
        assert list(backup_lines([])) == []

    def test_a_backup_is_chosen_by_path_or_by_name(
        self, small_project: SmallProject, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        file = backups.create_backup(small_project.project, target)
        copy = tmp_path / "copy.db"
        copy.write_bytes(file.read_bytes())
        project = small_project.project
        assert backups.resolve_backup(project, file.name) == backups.resolve_backup(project, str(file)) == file
        assert backups.resolve_backup(project, "copy.db") == copy
        assert not backups.resolve_backup(project, "nothing").exists()
        assert backend_for(target).exists(target)
