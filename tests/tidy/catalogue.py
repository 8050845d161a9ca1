"""All rules, and what each of them applies to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.tidy import source
from tests.tidy.rules import bounds, documentation, layers, reasons, sizes, sql, state, words
from tests.tidy.source import Finding, Source

Rule = Callable[[Source], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Chapter:
    """Files, and the rules that hold for them."""

    files: Callable[[], list[Source]]
    rules: tuple[Rule, ...]


CHAPTERS = (
    Chapter(
        source.product_code,
        (
            sizes.long_functions,
            sizes.long_modules,
            documentation.silent_modules,
            documentation.silent_names,
            documentation.unfinished_sentences,
            sql.homeless_statements,
            sql.nameless_statements,
            sql.other_clocks,
            state.import_side_effects,
            state.changing_globals,
            state.vague_modules,
            reasons.silent_suppressions,
            reasons.silent_catches,
            bounds.endless_queues,
            layers.wire_types_inside,
            layers.strangers,
            layers.wall_clocks,
            layers.private_imports,
            words.banners,
        ),
    ),
    Chapter(
        source.test_code,
        (
            sizes.long_functions,
            sizes.long_modules,
            documentation.silent_modules,
            documentation.unfinished_sentences,
            state.changing_globals,
            state.vague_modules,
            reasons.silent_suppressions,
            reasons.silent_catches,
            reasons.skipped_tests,
            bounds.endless_queues,
            bounds.fixed_sleeps,
            bounds.mocks,
            layers.private_imports,
            words.banners,
        ),
    ),
    Chapter(source.sql_files, (sql.other_clocks, sql.tables_without_tenant, words.banners)),
    Chapter(source.written_files, (words.banned_words, words.this_machine)),
)


def findings() -> Iterator[Finding]:
    """Everything that the rules object to in the tree."""
    for chapter in CHAPTERS:
        for file in chapter.files():
            for rule in chapter.rules:
                yield from rule(file)
