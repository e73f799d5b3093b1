"""How each package's files become records: one small function for each layout.

A reader takes the source and its archive, and yields (record, raw) for everything in it that is a text: `record` holds
the columns that `SourceConfig.fields` and `where` speak of, those of a `Document` under their own names, and `raw` the
text in UTF-8. What the config does not select is yielded as well: it is listed as left out.
"""

from collections.abc import Callable, Iterator

from train.documents.archives import Archive
from train.documents.configs import Reader, SourceConfig
from train.documents.make import Record
from train.documents.readers import books, code, law, plain, sheets, talk, wordnet
from train.records import BadInput

Read = Callable[[SourceConfig, Archive], Iterator[tuple[Record, bytes]]]

READERS: dict[Reader, Read] = {
    Reader.members: plain.read_members,
    Reader.table: plain.read_table,
    Reader.documentation: plain.read_documentation,
    Reader.gutenberg: books.read_gutenberg,
    Reader.shakespeare: books.read_shakespeare,
    Reader.law: law.read_law,
    Reader.labour: sheets.read_labour,
    Reader.sheets: sheets.read_sheets,
    Reader.questions: sheets.read_questions,
    Reader.summaries: sheets.read_summaries,
    Reader.translations: talk.read_translations,
    Reader.conversations: talk.read_conversations,
    Reader.functions: code.read_functions,
    Reader.themes: sheets.read_themes,
    Reader.values: sheets.read_values,
    Reader.senses: wordnet.read_senses,
}


def read_archive(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """The records of a package by its reader. Raises BadInput if it is not laid out as the reader expects."""
    try:
        yield from READERS[source.reader](source, archive)
    except BadInput:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise BadInput(
            f"{source.origin}: not laid out as reader={source.reader.name} expects ({type(error).__name__}: {error})"
        ) from error
