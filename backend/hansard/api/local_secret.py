"""Keep the one secret of an embedded server, from which its keys are derived."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from hansard.errors import ConfigurationError

_SECRET_BYTES: Final = 32


class LocalSecret:
    """Keep the secret of an embedded server in ``<database>.secret``, readable by its owner alone.

    The first process that needs it makes it; others, also at the same moment, find it. Raises
    `ConfigurationError` when others could read it, it is no secret, or the folder lets us make none.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.secret")
        self._root = self._load()

    def derive(self, purpose: str) -> bytes:
        """Return the key for one purpose; keys of two purposes tell nothing of each other."""
        return hashlib.blake2b(purpose.encode(), key=self._root, digest_size=_SECRET_BYTES).digest()

    def _load(self) -> bytes:
        try:
            if not self.path.exists():
                self._make()
            return self._read()
        except OSError as error:
            raise ConfigurationError(f"cannot keep a secret in {self.path}: {error.strerror}") from error

    def _make(self) -> None:
        # Written whole under another name and then linked: nobody ever sees half a secret, and the first one wins.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(_SECRET_BYTES).encode())
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, self.path)
        finally:
            draft.unlink()

    def _read(self) -> bytes:
        with self.path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
        if mode & 0o077:
            raise ConfigurationError(f"{self.path} can be read by others; run: chmod 600 '{self.path}'")
        try:
            root = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            root = b""
        if len(root) != _SECRET_BYTES:
            raise ConfigurationError(f"{self.path} holds no secret; delete it and a new one is made")
        return root
