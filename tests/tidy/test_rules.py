"""Every rule objects to what it forbids, and to nothing else: a rule that never fails proves nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.tidy.catalogue import CHAPTERS
from tests.tidy.rules import bounds, documentation, layers, reasons, sizes, sql, state, words
from tests.tidy.source import Finding, Source

PRODUCT = "services/budget/taor_budget/ledger.py"
STORE = "services/budget/taor_budget/store/ledger.py"
MIGRATION = "services/budget/taor_budget/migrations/0001_pre_ledger.sql"
SERVICE_TEST = "tests/service/budget/test_ledger.py"
Rule = Callable[[Source], Iterable[Finding]]

FORBIDDEN: list[tuple[Rule, str, str]] = [
    (sizes.long_functions, PRODUCT, "def f():\n" + "    x = 1\n" * 60),
    (sizes.long_modules, PRODUCT, "x = 1\n" * 401),
    (sizes.long_modules, SERVICE_TEST, "x = 1\n" * 601),
    (documentation.silent_modules, PRODUCT, "x = 1\n"),
    (documentation.silent_names, PRODUCT, "def f(): ...\n"),
    (documentation.silent_names, PRODUCT, "class C:\n    '''A noun.'''\n    def f(self): ...\n"),
    (documentation.silent_names, PRODUCT, "class C(Protocol):\n    '''A port.'''\n    def f(self): ...\n"),
    (documentation.unfinished_sentences, PRODUCT, "'''Nothing much'''\n"),
    (sql.homeless_statements, PRODUCT, "QUERY = 'SELECT a FROM b'\n"),
    (sql.homeless_statements, PRODUCT, "def f():\n    return '''\n    UPDATE accounts SET a = 1'''\n"),
    (sql.nameless_statements, STORE, "def f(pool):\n    return pool.fetch('SELECT a FROM b')\n"),
    (sql.other_clocks, STORE, "Q = 'SELECT now()'\n"),
    (sql.other_clocks, MIGRATION, "CREATE TABLE a (t timestamptz DEFAULT CURRENT_TIMESTAMP\n);\n"),
    (sql.other_clocks, MIGRATION, "SELECT clock_timestamp();\n"),
    (sql.tables_without_tenant, MIGRATION, "CREATE TABLE a (\n    id text -- of the tenant_id\n);\n"),
    (state.import_side_effects, PRODUCT, "start()\n"),
    (state.import_side_effects, PRODUCT, "TEXT = Path('x').read_text()\n"),
    (state.import_side_effects, PRODUCT, "HOME = os.environ['HOME']\n"),
    (state.import_side_effects, PRODUCT, "for x in range(3):\n    y = x\n"),
    (state.changing_globals, PRODUCT, "CACHE = {}\ndef f(k):\n    CACHE[k] = 1\n"),
    (state.changing_globals, PRODUCT, "SEEN = set()\ndef f(k):\n    SEEN.add(k)\n"),
    (state.changing_globals, PRODUCT, "n = 0\ndef f():\n    global n\n    n = 1\n"),
    (state.vague_modules, "services/budget/taor_budget/utils.py", ""),
    (state.vague_modules, "services/budget/taor_budget/helpers/ledger.py", ""),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # noqa: E501\ny = 2\n"),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # noqa\n"),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # type: ignore[attr-defined]\n"),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # type: ignore  # because it is wrong\n"),
    (reasons.silent_catches, PRODUCT, "try:\n    f()\n\nexcept Exception:\n    pass\n"),
    (reasons.silent_catches, PRODUCT, "try:\n    f()\nexcept (OSError, BaseException):\n    pass\n"),
    (reasons.skipped_tests, SERVICE_TEST, "@pytest.mark.ski" + "p\ndef test(): ...\n"),
    (reasons.skipped_tests, SERVICE_TEST, "def test():\n    pytest.xfai" + "l('later')\n"),
    (bounds.endless_queues, PRODUCT, "q = asyncio.Queue()\n"),
    (bounds.endless_queues, PRODUCT, "q = asyncio.Queue[int](maxsize=0)\n"),
    (bounds.endless_queues, PRODUCT, "q = queue.SimpleQueue()\n"),
    (bounds.fixed_sleeps, SERVICE_TEST, "async def test():\n    await asyncio.sleep(1)\n"),
    (bounds.mocks, SERVICE_TEST, "from unittest import mock\n"),
    (bounds.mocks, SERVICE_TEST, "from unittest.mock import Mock\n"),
    (layers.wire_types_inside, PRODUCT, "from taor.budget.v1 import budget_pb2\n"),
    (layers.strangers, PRODUCT, "def f():\n    import anthropic\n"),
    (layers.wall_clocks, PRODUCT, "def f():\n    return datetime.datetime.now(UTC)\n"),
    (layers.private_imports, PRODUCT, "from taor_budget.pricing import _round\n"),
    (words.banners, PRODUCT, "# " + "-" * 20 + "\n"),
    (words.banners, MIGRATION, "--------\n"),
    (words.banned_words, "README.md", "TOD" + "O: later\n"),
    (words.banned_words, "README.md", "https://index.example.org/pypi/simpl" + "e\n"),
    (lambda source: words.this_machine(source, Path("/srv/people/taor")), "README.md", "cd /srv/people/taor\n"),
]

ALLOWED: list[tuple[Rule, str, str]] = [
    (sizes.long_functions, PRODUCT, "def f():\n    '''" + "Long.\n" * 60 + "'''\n" + "    x = 1\n" * 59),
    (sizes.long_modules, SERVICE_TEST, "x = 1\n" * 600),
    (documentation.silent_modules, PRODUCT, ""),
    (documentation.silent_names, PRODUCT, "def _f(): ...\nclass _C:\n    def f(self): ...\n"),
    (documentation.silent_names, PRODUCT, "class C(Backend):\n    '''At home.'''\n    def f(self): ...\n"),
    (documentation.unfinished_sentences, PRODUCT, "'''A ledger.\n\nMore'''\n"),
    (sql.homeless_statements, PRODUCT, "'''Select what to do, update the rest.'''\nx = 'SELECTED'\n"),
    (sql.homeless_statements, STORE, "QUERY = 'SELECT a FROM b'\n"),
    (sql.nameless_statements, STORE, "QUERY = 'SELECT a FROM b'\n"),
    (sql.other_clocks, MIGRATION, "-- not now()\nSELECT taor_now();\n"),
    (sql.tables_without_tenant, MIGRATION, "CREATE TABLE a (\n    tenant_id text\n);\n"),
    (state.import_side_effects, PRODUCT, "'''A.'''\nimport re\nA = re.compile('a')\nif TYPE_CHECKING:\n    import b\n"),
    (state.import_side_effects, PRODUCT, "def f():\n    start()\nOPEN = lambda: open('a')\n"),
    (state.changing_globals, PRODUCT, "seen = set()\ndef f(k):\n    seen = set()\n    seen.add(k)\n"),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # noqa: E501  # a table is read by columns\n"),
    (reasons.silent_suppressions, PRODUCT, "x = 1  # type: ignore[import-untyped]  # ships no stubs\n"),
    (reasons.silent_catches, PRODUCT, "try:\n    f()\nexcept Exception:  # the boundary of a task\n    pass\n"),
    (reasons.silent_catches, PRODUCT, "try:\n    f()\nexcept OSError:\n    pass\n"),
    (bounds.endless_queues, PRODUCT, "q = asyncio.Queue[int](8)\nr = queue.Queue(maxsize=n)\n"),
    (bounds.fixed_sleeps, SERVICE_TEST, "async def test():\n    while not done():\n        await asyncio.sleep(1)\n"),
    (bounds.fixed_sleeps, SERVICE_TEST, "async def test():\n    await asyncio.sleep(0)\n"),
    (bounds.mocks, "tests/unit/budget/test_ledger.py", "from unittest import mock\n"),
    (layers.wire_types_inside, "services/budget/taor_budget/service.py", "from taor.budget.v1 import budget_pb2\n"),
    (layers.strangers, "services/orchestrator/taor_orchestrator/model/anthropic.py", "import anthropic\n"),
    (layers.wall_clocks, PRODUCT, "def f(clock):\n    return clock.now()\n"),
    (layers.private_imports, PRODUCT, "from taor_budget.pricing import price_of as _price_of\n"),
    (words.banners, PRODUCT, "# A comment -- with a dash.\n"),
    (words.banned_words, "README.md", "To do this at home/work, open it.\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), FORBIDDEN)
def test_is_found(rule: Rule, path: str, text: str) -> None:
    assert len(list(rule(Source(path, text)))) == 1


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_is_left_alone(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_no_rule_is_without_an_example() -> None:
    shown = {rule.__name__ for rule, _, _ in FORBIDDEN} | {words.this_machine.__name__}
    assert {rule.__name__ for chapter in CHAPTERS for rule in chapter.rules} <= shown


def test_every_chapter_has_files() -> None:
    assert all(chapter.files() for chapter in CHAPTERS)
