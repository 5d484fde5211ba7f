"""Files of one folder and nothing else: every path is resolved first and must lie inside."""

import os
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path

TEXT_LIMIT_BYTES = 20 * 1024 * 1024
_SNIFF_BYTES = 8192
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


class PathRefused(Exception):
    """The path or the file is not one that a tool may touch; the message is for the model."""


@dataclass(frozen=True)
class TextFile:
    """A text with how it is written on disk, so that an edit changes nothing else.

    `text` has plain newlines when the file uses CRLF throughout; mixed endings stay as they are.
    """

    text: str
    encoding: str = "utf-8"
    bom: bytes = b""
    crlf: bool = False

    @classmethod
    def decode(cls, data: bytes, name: str) -> "TextFile":
        """Raises `PathRefused` for what is no text."""
        for bom, encoding in _BOMS:
            if data.startswith(bom):
                try:
                    return cls(data[len(bom) :].decode(encoding), encoding, bom).plain()
                except UnicodeDecodeError:
                    raise PathRefused(f"{name} is not text") from None
        if b"\0" in data[:_SNIFF_BYTES]:
            raise PathRefused(f"{name} is a binary file ({len(data)} bytes)")
        try:
            return cls(data.decode("utf-8")).plain()
        except UnicodeDecodeError:
            return cls(data.decode("latin-1"), "latin-1").plain()  # keeps every byte as it is

    def plain(self) -> "TextFile":
        """With plain newlines, if all of them were CRLF."""
        crlf = self.text.count("\r\n")
        if not crlf or crlf != self.text.count("\n"):
            return self
        return replace(self, text=self.text.replace("\r\n", "\n"), crlf=True)

    def with_text(self, text: str) -> "TextFile":
        """Other content, written in the same way."""
        return replace(self, text=text.replace("\r\n", "\n") if self.crlf else text)

    def encode(self, name: str) -> bytes:
        """The bytes for the disk; raises `PathRefused` when the file's encoding cannot hold the text."""
        text = self.text.replace("\n", "\r\n") if self.crlf else self.text
        try:
            return self.bom + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise PathRefused(
                f"{name} is written in {self.encoding}, which cannot hold {error.object[error.start]!r}"
            ) from None


@dataclass(frozen=True)
class Workspace:
    """The folder the agent works in; `root` is its real path."""

    root: Path

    @classmethod
    def at(cls, folder: str) -> "Workspace":
        """Raises `PathRefused` unless it is an existing folder, named absolutely."""
        if not Path(folder).is_absolute():
            raise PathRefused(f"the folder must be absolute: {folder}")
        root = Path(os.path.realpath(folder))
        if not root.is_dir():
            raise PathRefused(f"there is no folder {folder}")
        return cls(root)

    def resolve(self, path: str) -> Path:
        """The real path of something inside, links followed; raises `PathRefused` for anything outside."""
        if not path or "\0" in path:
            raise PathRefused("the path is empty or not a path")
        try:
            real = Path(os.path.realpath(self.root / Path(path).expanduser()))
        except (OSError, RuntimeError) as error:
            raise PathRefused(f"{path}: {error}") from None
        if real != self.root and self.root not in real.parents:
            raise PathRefused(f"{path} lies outside of the working folder {self.root}")
        return real

    def name(self, path: Path) -> str:
        """How a path inside is shown: relative to the root."""
        return str(path.relative_to(self.root))

    def read(self, path: Path) -> TextFile:
        """A text file by its resolved path."""
        return TextFile.decode(self._read_bytes(path), self.name(path))

    def read_if_exists(self, path: Path) -> TextFile | None:
        """None when there is nothing of that name."""
        return self.read(path) if os.path.lexists(path) else None

    def check_writable(self, path: Path) -> None:
        """Git's own files are not edited as text: hooks and configuration in there run programs."""
        if ".git" in path.relative_to(self.root).parts or path == self.root:
            raise PathRefused(f"{self.name(path)} is not to be written; use git itself")

    def write(self, path: Path, content: TextFile) -> None:
        """Replace the file in one step, so that nobody sees half of it; its mode stays, a hard link is left alone."""
        self.check_writable(path)
        name = self.name(path)
        data = content.encode(name)
        if len(data) > TEXT_LIMIT_BYTES:
            raise PathRefused(f"{name} would be larger than {TEXT_LIMIT_BYTES} bytes")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A folder may have become a link since the path was resolved.
            if self.resolve(str(path)) != path:
                raise PathRefused(f"{name} changed meanwhile")
            _replace(path, data)
        except OSError as error:
            raise PathRefused(f"{name} cannot be written: {error.strerror}") from None

    def _read_bytes(self, path: Path) -> bytes:
        name = self.name(path)
        try:
            # A pipe must not make us wait and a link must not be followed: the path was resolved before.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise PathRefused(f"there is no file {name}") from None
        except OSError as error:
            raise PathRefused(f"{name} cannot be read: {error.strerror}") from None
        try:
            _check_readable(os.fstat(descriptor), name)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(TEXT_LIMIT_BYTES + 1)
        finally:
            os.close(descriptor)


def _check_readable(about: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise PathRefused(f"{name} is a folder; list_files shows what is in it")
    if not stat.S_ISREG(about.st_mode):
        raise PathRefused(f"{name} is not a regular file")
    if about.st_size > TEXT_LIMIT_BYTES:
        raise PathRefused(
            f"{name} has {about.st_size} bytes, more than {TEXT_LIMIT_BYTES};"
            " look at parts of it with the shell (head, tail, grep)"
        )


def _replace(path: Path, data: bytes) -> None:
    try:
        before = os.lstat(path)
    except FileNotFoundError:
        before = None
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if before:
            temporary.chmod(stat.S_IMODE(before.st_mode))
            _make_newer(temporary, int(before.st_mtime))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_newer(path: Path, than: int) -> None:
    """Python takes its cached bytecode for current when a file keeps its size and the second of its change.

    An agent edits and tests faster than that, and would see the results of the old code.
    """
    about = path.stat()
    if int(about.st_mtime) <= than:
        os.utime(path, (about.st_atime, than + 1))
