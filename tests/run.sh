#!/bin/sh
# `./taor test [PART…] [pytest options]`: the checks, then every level of tests. Runs all parts and fails at the end if one did.
#   ./taor test unit service -k ledger          narrows          ./taor test --optin          adds what needs a key or a browser
set -u
cd "$(dirname "$0")/.." && . tests/parts.sh
parts='' levels=''
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do parts="$parts $1" && shift; done
TAOR_TEST_OPTIN_REPORT=$(mktemp) && export TAOR_TEST_OPTIN_REPORT
trap 'rm -f "$TAOR_TEST_OPTIN_REPORT"' EXIT

# 5: nothing was collected, which is no failure where options narrow the choice.
level() { python -m pytest "tests/$@" -q -p no:cacheprovider $(sharing "$1") || { [ $? -eq 5 ] && [ $# -gt 1 ]; }; }

# Tests that mostly wait for others are shared among processes; those of one file stay together.
sharing() { case $1 in contract | service) echo --numprocesses auto --maxprocesses 4 --dist loadfile ;; esac }

for each in unit model replay contract service mutants crash chaos e2e; do
  if find "tests/$each" -name 'test_*.py' 2>/dev/null | grep -q .; then levels="$levels $each"; fi
done
for part in ${parts:-check $levels}; do
  if [ "$part" = check ]; then aloud check sh tests/check.sh; else aloud "$part" level "$part" "$@"; fi
done
[ ! -s "$TAOR_TEST_OPTIN_REPORT" ] || { echo 'left out, because they need something special (--optin):' && sort -u "$TAOR_TEST_OPTIN_REPORT"; }
conclude
