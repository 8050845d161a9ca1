"""`python -m tests.model [NAME [SIZE]] [--without RULE] [--rules]`: explores a model, or shows how one breaks."""

import argparse
import sys
import time

from tests.model.experiments import EXPERIMENTS


def main() -> int:
    """Run what is asked for; 1 when a promise is broken that should hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Explore the protocol's models.")
    parser.add_argument("name", nargs="?", choices=EXPERIMENTS, help="which model; all if none")
    parser.add_argument("size", nargs="?", default="small", choices=("small", "large"))
    parser.add_argument("--without", metavar="RULE", help="show the shortest way to what breaks without this rule")
    parser.add_argument("--rules", action="store_true", help="list the rules and what each of them keeps")
    options = parser.parse_args()
    names = [options.name] if options.name else list(EXPERIMENTS)
    if options.without:
        return _break(names, options.without)
    if options.rules:
        return _list(names)
    return max(_explore(name, options.size) for name in names)


def _explore(name: str, size_name: str) -> int:
    broken = 0
    for size in EXPERIMENTS[name].sizes[size_name]:
        began = time.monotonic()
        findings = EXPERIMENTS[name].with_all_rules(size)
        cut = "" if findings.is_complete else " (not all of them)"
        seconds = time.monotonic() - began
        _say(f"{name} {size}: {findings.states:,} states{cut}, {seconds:.0f} s, {len(findings.traces)} promises broken")
        for promise, trace in findings.traces.items():
            _say(f"  broken: {promise}", *(f"    {step}" for step in trace))
        broken |= bool(findings.traces) or not findings.is_complete
    return broken


def _break(names: list[str], rule_name: str) -> int:
    """Show what happens without a rule; some names stand for a rule in more than one model."""
    found = [(name, rule) for name in names for rule in EXPERIMENTS[name].rules if rule.name == rule_name.upper()]
    for name, rule in found:
        witness, findings = EXPERIMENTS[name].witnesses[rule], EXPERIMENTS[name].without(rule)
        behind = f" and without: {witness.behind}" if witness.behind else ""
        _say(f"{name}, without: {rule}{behind}", f"  broken: {witness.breaks}")
        _say(*(f"    {step}" for step in findings.traces[witness.breaks]))
    if not found:
        _say(f"there is no rule {rule_name}; --rules lists them")
    return not found


def _list(names: list[str]) -> int:
    for name in names:
        _say("", name)
        for rule, witness in EXPERIMENTS[name].witnesses.items():
            behind = f" (behind {witness.behind.name})" if witness.behind else ""
            _say(f"  {rule.name:26}{rule}{behind}", f"  {'':26}keeps: {witness.breaks}")
    return 0


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
