"""The language of a repository: that of most of its bytes, by the endings of its files' names."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

_ENDINGS = {
    "c": "c h",
    "c#": "cs",
    "c++": "cc cpp cxx hh hpp hxx",
    "clojure": "clj cljc cljs",
    "css": "css less sass scss",
    "dart": "dart",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "go": "go",
    "haskell": "hs",
    "html": "htm html",
    "java": "java",
    "javascript": "cjs js jsx mjs",
    "julia": "jl",
    "kotlin": "kt kts",
    "lua": "lua",
    "nix": "nix",
    "objective-c": "m mm",
    "ocaml": "ml mli",
    "perl": "pl pm",
    "php": "php",
    "python": "py pyi pyx",
    "r": "r",
    "ruby": "rb rake",
    "rust": "rs",
    "scala": "sc scala",
    "shell": "bash sh zsh",
    "sql": "sql",
    "swift": "swift",
    "terraform": "tf",
    "typescript": "cts mts ts tsx",
    "vue": "vue",
    "zig": "zig",
}
_LANGUAGES = {ending: language for language, endings in _ENDINGS.items() for ending in endings.split()}
_NOT_ITS_OWN = frozenset({"node_modules", "third_party", "vendor", "vendored", "dist", "build"})
"""Folders whose files others wrote, or a program did."""


def main_language(files: Iterable[tuple[str, int]]) -> str | None:
    """The language of most bytes, from paths and sizes; None when no file tells one. Ties go by the alphabet."""
    counted: Counter[str] = Counter()
    for path, size in files:
        place = PurePosixPath(path)
        language = _LANGUAGES.get(place.suffix[1:].lower())
        if language is not None and _NOT_ITS_OWN.isdisjoint(place.parts[:-1]) and ".min." not in place.name:
            counted[language] += size
    return min(counted, key=lambda language: (-counted[language], language)) if counted else None
