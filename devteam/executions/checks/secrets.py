"""Keys, passwords and tokens that must not leave with a delivery.

What is found is named by place and kind. The secret itself stands in no verdict.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devteam.executions.checks.changes import FileChange
from devteam.executions.checks.patterns import matches
from devteam.executions.checks.verdict import Facts, Verdict, listed, shown
from devteam.projects.gates import SecretScanOptions


@dataclass(frozen=True)
class Kind:
    """What a secret of a kind looks like; group 1 is the secret where the pattern needs more around it."""

    name: str
    pattern: re.Pattern[str]
    hints: tuple[str, ...]
    """A text that holds one holds one of these too, in lower case; looked for first, because it is quick."""
    random: float = 0.0
    """Bits per character that it must have at least: what people make up has less."""


def _kind(name: str, hints: str, pattern: str, random: float = 0.0) -> Kind:
    return Kind(name, re.compile(pattern), tuple(hints.split()), random)


_END = r"(?![A-Za-z0-9_\-])"
_START = r"(?<![A-Za-z0-9_\-])"
_NAMED_HINTS = "key secret token passw passphrase credential"
_NAMED = (
    r"(?i:(?:api|access|auth|private|secret|signing|encryption|client)[_\-. ]?(?:key|secret|token)|apikey|passwd"
    r"|password|passphrase|secret|token|credential)"
)

KINDS: Final[tuple[Kind, ...]] = (
    _kind("AWS access key", "akia asia abia acca", rf"{_START}(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}}(?![A-Za-z0-9])"),
    _kind(
        "AWS secret key",
        "aws",
        r"(?i:aws[\w\-. ]{0,30}(?:secret|key)[\w\-. ]{0,30})[\"']?\s{0,3}(?:=>|:=|=|:)\s{0,3}[\"']?"
        r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        4.0,
    ),
    _kind("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_START}gh[pousr]_[A-Za-z0-9]{{36,255}}{_END}"),
    _kind("GitHub token", "github_pat_", rf"{_START}github_pat_[A-Za-z0-9_]{{36,255}}{_END}"),
    _kind(
        "GitLab token",
        "glpat- gldt- glrt- glcbt- glptt- gloas- glsoat- glft- glimt- glagent- glffct-",
        rf"{_START}gl(?:pat|dt|rt|cbt|ptt|oas|soat|ft|imt|agent|ffct)-[A-Za-z0-9_\-.]{{20,300}}",
    ),
    _kind("Slack token", "xox", rf"{_START}xox[abeoprs]-[A-Za-z0-9\-]{{10,250}}"),
    _kind("Slack token", "xapp-", rf"{_START}xapp-\d-[A-Za-z0-9\-]{{20,250}}"),
    _kind("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_\-]{20,120}"),
    _kind("Discord webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{15,22}/[A-Za-z0-9_\-]{50,100}"),
    _kind("Google API key", "aiza", rf"{_START}AIza[A-Za-z0-9_\-]{{35}}{_END}"),
    _kind("Google OAuth secret", "gocspx-", rf"{_START}GOCSPX-[A-Za-z0-9_\-]{{28}}{_END}"),
    _kind("Google OAuth token", "ya29.", rf"{_START}ya29\.[A-Za-z0-9_\-]{{30,300}}"),
    _kind("Anthropic key", "sk-ant-", rf"{_START}sk-ant-[A-Za-z0-9_\-]{{24,200}}"),
    _kind("OpenAI key", "sk-", rf"{_START}sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{{20,220}}"),
    _kind("API key", "sk-", rf"{_START}sk-(?:or-v1-)?[A-Za-z0-9]{{32,128}}{_END}", 3.5),
    _kind("Stripe key", "_live_", rf"{_START}(?:sk|rk|whsec)_live_[A-Za-z0-9]{{16,250}}{_END}"),
    _kind("Stripe webhook secret", "whsec_", rf"{_START}whsec_[A-Za-z0-9+/]{{32,100}}"),
    _kind("Twilio key", "sk", rf"{_START}SK[0-9a-f]{{32}}{_END}", 3.0),
    _kind("SendGrid key", "sg.", rf"{_START}SG\.[A-Za-z0-9_\-]{{20,24}}\.[A-Za-z0-9_\-]{{39,50}}"),
    _kind("Mailgun key", "key-", rf"{_START}key-[0-9a-f]{{32}}{_END}", 3.0),
    _kind("npm token", "npm_", rf"{_START}npm_[A-Za-z0-9]{{36}}{_END}"),
    _kind("npm token", "_authtoken", r"(?i::_authToken)\s{0,3}=\s{0,3}([^\s$\"']{16,200})"),
    _kind("PyPI token", "pypi-", rf"{_START}pypi-AgE[A-Za-z0-9_\-]{{50,300}}"),
    _kind("Docker token", "dckr_", rf"{_START}dckr_(?:pat|oat)_[A-Za-z0-9_\-]{{20,64}}"),
    _kind("DigitalOcean token", "_v1_", rf"{_START}do[por]_v1_[0-9a-f]{{64}}{_END}"),
    _kind("Hugging Face token", "hf_", rf"{_START}hf_[A-Za-z]{{34}}{_END}"),
    _kind("Telegram bot token", ":aa", rf"{_START}\d{{8,10}}:AA[A-Za-z0-9_\-]{{33}}{_END}"),
    _kind("Shopify token", "shpat_ shpca_ shppa_ shpss_", rf"{_START}shp(?:at|ca|pa|ss)_[0-9a-fA-F]{{32}}{_END}"),
    _kind("Vault token", "hvs. hvb. hvr.", rf"{_START}hv[sbr]\.[A-Za-z0-9_\-]{{24,300}}"),
    _kind("Azure storage key", "accountkey", r"(?i:AccountKey)\s{0,3}=\s{0,3}([A-Za-z0-9+/]{86}==)"),
    _kind("age key", "age-secret-key-", rf"{_START}AGE-SECRET-KEY-1[0-9A-Z]{{58}}"),
    _kind(
        "signed token",
        "eyj",
        rf"{_START}eyJ[A-Za-z0-9_\-]{{10,2000}}\.eyJ[A-Za-z0-9_\-]{{10,4000}}\.[A-Za-z0-9_\-]{{20,1000}}",
    ),
    _kind(
        "password in an address",
        "://",
        r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@\"'<>{}$]{1,100}:([^\s:/@\"'<>{}$%*]{8,200})@[A-Za-z0-9\[]",
        2.8,
    ),
    _kind("bearer token", "bearer", r"(?i:bearer)\s{1,3}([A-Za-z0-9_\-.~+/]{24,1000}=?=?)(?![A-Za-z0-9_\-.~+/])", 3.7),
    _kind(
        "secret in code",
        _NAMED_HINTS,
        rf"{_NAMED}[\w\-.]{{0,40}}[\"'\]]{{0,2}}\s{{0,5}}(?:=>|:=|==|=|:)\s{{0,5}}[a-zA-Z]{{0,2}}[\"'`]"
        r"([^\s\"'`<>{}$()]{16,300})[\"'`]",
        3.6,
    ),
    _kind(
        "secret in settings",
        _NAMED_HINTS,
        r"^\s{0,20}(?:export\s{1,3})?[A-Z0-9_]{0,60}(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|ACCESS_KEY)"
        r"[A-Z0-9_]{0,60}\s{0,3}=\s{0,3}([^\s\"'`<>{}$()#]{16,300})\s{0,20}$",
        3.6,
    ),
)  # fmt: skip

_KEY_BEGINS: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----(.*)")
_KEY_GOES_ON: Final = re.compile(
    r"[\s\"'+\\n,;>|#*/.]{0,20}(?:[A-Za-z0-9+/=]{32,}|Proc-Type:|Version:|Comment:|\\n[A-Za-z0-9+/]{16})"
)
_KEY_BLOCK: Final = re.compile(r"(-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----)[^-]{16,20000}")
_MADE_UP: Final = re.compile(
    r"(?i)example|sample|dummy|placeholder|change.?me|your[_\-]|redacted|not.?a.?real|fake|foo.?bar|x{5,}|\*{3,}|0{8,}"
    r"|1234567|abcdefg|lorem|\.\.\.|process\.env|os\.environ|secrets?\.[A-Za-z_]+$"
)
_NOT_VALUES: Final = re.compile(r"(?i)^(?:[a-z]+(?:[_\-./:][a-z]+)+|[A-Za-z]+|https?://[^:@]*|/[\w\-./]+)$")
"""Names, words and addresses, which stand where secrets do: `token: "components/auth-token"`."""


@dataclass(frozen=True)
class Finding:
    """Where a secret of a kind stands."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.kind}" if self.line else f"{self.path}: {self.kind} in the file's name"


def secret_scan(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """No added line holds a secret. What only moved is left alone: it is out already."""
    looked_at = facts.history or facts.changes
    if looked_at.cut or facts.changes.cut:
        return Verdict(False, "More changed than can be scanned for secrets; deliver it in smaller parts.")
    allowed = SecretScanOptions.model_validate(options).allow_paths
    known = {secret for file in facts.changes.files for secret in _secrets_of(file, "-")}
    found = [
        finding for file in looked_at.files if not matches(file.path, allowed) for finding in _findings(file, known)
    ]
    if not found:
        return Verdict(True, "No secret was found in what changed.")
    kinds = ", ".join(sorted({finding.kind for finding in found}))
    places = [str(finding) for finding in found]
    text = f"{len(found)} places hold what looks like a secret ({kinds}): {shown(places)}. Nothing of it is delivered."
    return Verdict(False, text, listed(places), sorted({finding.path for finding in found}))


def mask_secrets(text: str) -> str:
    """Text in which everything that looks like a secret is replaced by its kind."""
    text = _KEY_BLOCK.sub(r"\1[secret: private key]", text)
    return "\n".join(_masked(line) for line in text.split("\n"))


def _masked(line: str) -> str:
    for kind, start, end, _ in sorted(_matches(line), key=lambda match: -match[1]):
        line = f"{line[:start]}[secret: {kind}]{line[end:]}"
    return line


def _findings(file: FileChange, known: set[str]) -> Iterator[Finding]:
    path = mask_secrets(file.path)
    if path != file.path and file.status != "D":
        yield Finding(path, 0, next(_matches(file.path))[0])
    begins = None
    for line in file.lines():
        if line.side == "-":
            continue
        text = line.text.replace("\0", "")
        if begins is not None and line.number == begins + 1 and _KEY_GOES_ON.match(text):
            yield Finding(path, begins, "private key")
        key = _KEY_BEGINS.search(text)
        begins = line.number if key else None
        if key and _KEY_GOES_ON.match(key[1]):
            yield Finding(path, line.number, "private key")
            begins = None
        kinds = {kind for kind, _, _, secret in _matches(text) if secret not in known}
        yield from (Finding(path, line.number, kind) for kind in sorted(kinds))


def _secrets_of(file: FileChange, side: str) -> Iterator[str]:
    for line in file.lines():
        if line.side == side:
            yield from (secret for _, _, _, secret in _matches(line.text.replace("\0", "")))


def _matches(text: str) -> Iterator[tuple[str, int, int, str]]:
    """Kind, begin, end and text of what looks like a secret; no two overlap."""
    taken: list[tuple[int, int]] = []
    low = text.lower()
    for kind in KINDS:
        if not any(hint in low for hint in kind.hints):
            continue
        for match in kind.pattern.finditer(text):
            group = 1 if match.re.groups else 0
            start, end = match.span(group)
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            if _is_secret(kind, match[group]):
                taken.append((start, end))
                yield kind.name, start, end, match[group]


def _is_secret(kind: Kind, text: str) -> bool:
    if len(set(text)) < 5 or "EXAMPLE" in text:
        return False
    if not kind.random:
        return True
    if _MADE_UP.search(text) or _NOT_VALUES.match(text) or not re.search(r"\d", text):
        return False
    return _entropy(text) >= kind.random


def _entropy(text: str) -> float:
    """Bits per character, by how often each stands in the text."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
