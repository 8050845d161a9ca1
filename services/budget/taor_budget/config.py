"""What the environment tells the budget service."""

import zoneinfo
from dataclasses import dataclass
from pathlib import Path

from taor_chassis.config import field


def _check_time_zone(name: str) -> str | None:
    return None if name in zoneinfo.available_timezones() else f"{name!r} is not a time zone of the IANA database"


def _check_file(path: Path) -> str | None:
    return None if path.is_file() else f"{path} is not a file"


def _check_positive(value: float) -> str | None:
    return None if value > 0 else "must be above zero"


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """The settings of the budget service."""

    listen: str = field(env="TAOR_BUDGET_LISTEN", help="host:port or unix:path to serve on")
    dsn: str = field(env="TAOR_BUDGET_DSN", help="the PostgreSQL database of the ledger")
    token: str = field(env="TAOR_TOKEN", help="the bearer token that every call carries")
    pool_size: int = field(env="TAOR_BUDGET_POOL_SIZE", help="database connections", default=8, check=_check_positive)
    create_accounts: bool = field(
        env="TAOR_BUDGET_CREATE_ACCOUNTS",
        help="let a build open an account, on its tier, for a user who has none",
        default=False,
    )
    time_zone: str = field(
        env="TAOR_BUDGET_TIME_ZONE",
        help="the IANA time zone of the days of accounts that a build opens",
        default="UTC",
        check=_check_time_zone,
    )
    prices: Path | None = field(
        env="TAOR_BUDGET_PRICES", help="a TOML file with further prices", default=None, check=_check_file
    )
    plans: Path | None = field(
        env="TAOR_BUDGET_PLANS", help="a TOML file with further or other plans", default=None, check=_check_file
    )
    hold_life_seconds: float = field(
        env="TAOR_BUDGET_HOLD_LIFE_SECONDS",
        help="how long money stays set aside for a call before it is charged",
        default=1800.0,
        check=_check_positive,
    )
    expire_every_seconds: float = field(
        env="TAOR_BUDGET_EXPIRE_EVERY_SECONDS",
        help="how often holds that have outlived their life are looked for",
        default=5.0,
        check=_check_positive,
    )
