"""Who stands as the author of delivered commits."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


def _a_name(text: str) -> str:
    name = text.strip()
    if not name.isprintable() or set("<>") & set(name) or not any(letter.isalnum() for letter in name):
        raise ValueError("an author's name is one line with a letter or digit, without < and >")
    return name


def _an_address(text: str) -> str:
    address = text.strip()
    if not address.isprintable() or _ADDRESS.fullmatch(address) is None:
        raise ValueError("an author's address looks like name@host, without blanks, < and >")
    return address


AuthorName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_a_name)]
AuthorEmail = Annotated[str, Field(min_length=3, max_length=254), AfterValidator(_an_address)]
