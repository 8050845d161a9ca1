#!/bin/sh
# `./taor check`: format, lint, types, layers, contracts, tidy. Runs every part and fails at the end if one did.
set -u
cd "$(dirname "$0")/.." && . tests/parts.sh
packages=$(for path in services/*/taor_* cli/taor_* deploy/*/taor_* deploy/simulators/*/taor_*; do printf ' -p %s' "${path##*/}"; done)
quietly format ruff format --check
quietly lint ruff check --quiet
quietly types mypy $packages -p tests
quietly layers lint-imports
quietly contracts buf lint
quietly contract-format buf format --diff --exit-code
quietly tidy python -m pytest tests/tidy -q --tb=short -p no:cacheprovider
conclude
