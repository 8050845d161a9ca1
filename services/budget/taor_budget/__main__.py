"""`python -m taor_budget serve | migrate`."""

import sys

from taor_budget.app import open_app
from taor_budget.config import BudgetConfig
from taor_chassis.main import run

if __name__ == "__main__":
    sys.exit(run("budget", BudgetConfig, open_app))
