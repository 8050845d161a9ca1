"""The machine's time zone by name."""

from pathlib import Path

from taor_local.timezone import local_time_zone


def test_tz_wins(tmp_path: Path) -> None:
    assert local_time_zone({"TZ": ":Europe/Berlin"}, tmp_path / "localtime") == "Europe/Berlin"


def test_the_link_names_the_zone(tmp_path: Path) -> None:
    zone = tmp_path / "zoneinfo" / "America" / "New_York"
    zone.parent.mkdir(parents=True)
    zone.touch()
    (tmp_path / "localtime").symlink_to(zone)
    assert local_time_zone({}, tmp_path / "localtime") == "America/New_York"


def test_a_copied_file_or_an_odd_name_is_utc(tmp_path: Path) -> None:
    (tmp_path / "localtime").touch()
    assert local_time_zone({"TZ": "EST5EDT4,M3"}, tmp_path / "localtime") == "UTC"
