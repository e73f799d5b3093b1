"""What has come already, on disk: memory stays the same, however many documents come."""

import sqlite3


class Seen:
    """The first value of each key, in a nameless file among the system's temporary ones that SQLite takes away."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        for line in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
            "BEGIN",
        ):
            self._table.execute(line)

    def add(self, key: bytes, value: str = "") -> str | None:
        """The value that this key came with before; None if it had not come, and is kept with this one."""
        if self._table.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, value)).rowcount:
            return None
        return str(self._table.execute("SELECT value FROM seen WHERE key = ?", (key,)).fetchone()[0])
