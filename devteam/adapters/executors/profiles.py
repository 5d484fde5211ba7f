"""Agents that speak the Agent Client Protocol: how each is started and told where its model is.

Versions are those that were seen to work; a project may name any other agent by its command line.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devteam.adapters.executors.private_home import write_in_home
from devteam.executions.session import ModelAccess

Configure = Callable[[ModelAccess, Path], Mapping[str, str]]
"""Writes the agent's settings into its private home and answers its environment."""


@dataclass(frozen=True)
class AgentProfile:
    """One kind of agent. `mode` is set after the session began; `usage` says what its own figures mean."""

    name: str
    title: str
    argv: tuple[str, ...]
    configure: Configure
    package: str | None = None
    """What to install, by package name, with the version that was seen to work."""
    mode: str | None = None
    loads_sessions: bool = True
    usage: str = "not reported; metered by the gateway"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str | None:
        """The version that was seen to work; None where any does."""
        return None if self.package is None else self.package.rpartition("@")[2]


def _openai(model: ModelAccess, _: Path) -> Mapping[str, str]:
    return {"OPENAI_BASE_URL": f"{model.base_url}/v1", "OPENAI_API_KEY": model.key, "OPENAI_MODEL": model.model}


def _native(model: ModelAccess, home: Path) -> Mapping[str, str]:
    told = _anthropic(model) if model.protocol == "anthropic" else _openai(model, home)
    return {**told, "DEVTEAM_AGENT_STATE": str(home / "agent")}


def _anthropic(model: ModelAccess) -> Mapping[str, str]:
    return {
        "ANTHROPIC_BASE_URL": f"{model.base_url}/anthropic",
        "ANTHROPIC_API_KEY": model.key,
        "ANTHROPIC_MODEL": model.model,
    }


def _opencode(model: ModelAccess, home: Path) -> Mapping[str, str]:
    anthropic = model.protocol == "anthropic"
    settings = {
        "share": "disabled",
        "autoupdate": False,
        "model": f"gateway/{model.model}",
        "small_model": f"gateway/{model.model}",
        # A title for the session is a call that is paid for and read by nobody.
        "agent": {"title": {"disable": True}},
        "permission": {"edit": "ask", "bash": "ask", "webfetch": "deny"},
        "provider": {
            "gateway": {
                "npm": "@ai-sdk/anthropic" if anthropic else "@ai-sdk/openai-compatible",
                "name": "gateway",
                "options": {
                    "baseURL": f"{model.base_url}/anthropic/v1" if anthropic else f"{model.base_url}/v1",
                    "apiKey": model.key,
                },
                "models": {model.model: {"name": model.model}},
            }
        },
    }
    write_in_home(home, ".config/opencode/opencode.json", json.dumps(settings))
    # It installs a package for plugins at its start, unless its folder says that it is there; nobody uses it here.
    wanted = {"dependencies": {"@opencode-ai/plugin": "*"}}
    write_in_home(home, ".config/opencode/package.json", json.dumps(wanted))
    write_in_home(home, ".config/opencode/package-lock.json", json.dumps({"packages": {"": wanted}}))
    write_in_home(home, ".config/opencode/node_modules/.package-lock.json", "{}")
    return {
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }


_CLAUDE_DENIED = ("WebSearch", "WebFetch", "CronCreate", "CronDelete", "CronList", "ScheduleWakeup", "EnterWorktree")
"""What leads out of the fence by way of the model's provider, or lasts longer than the attempt."""


def _claude(model: ModelAccess, home: Path) -> Mapping[str, str]:
    write_in_home(home, ".claude/settings.json", json.dumps({"permissions": {"deny": _CLAUDE_DENIED}}))
    # Helpers and subagents would ask for models of their own choice.
    names = ("MODEL", "SMALL_FAST_MODEL", "DEFAULT_OPUS_MODEL", "DEFAULT_SONNET_MODEL", "DEFAULT_HAIKU_MODEL")
    return {
        **{f"ANTHROPIC_{name}": model.model for name in names},
        "CLAUDE_CODE_SUBAGENT_MODEL": model.model,
        "ANTHROPIC_BASE_URL": f"{model.base_url}/anthropic",
        "ANTHROPIC_API_KEY": model.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        # It refuses to work as root unless it is told that it sits in a fence of somebody else's.
        "IS_SANDBOX": "1",
    }


def _gemini(model: ModelAccess, home: Path) -> Mapping[str, str]:
    settings = {
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "model": {"name": model.model, "skipNextSpeakerCheck": True, "disableLoopDetection": True},
        # Its helpers would ask for models of their own choice.
        "modelConfigs": {"customOverrides": [{"match": {}, "modelConfig": {"model": model.model}}]},
        # They lead out of the fence by way of the model's provider.
        "tools": {"exclude": ["google_web_search", "web_fetch"]},
    }
    write_in_home(home, ".gemini/settings.json", json.dumps(settings))
    return {
        "GOOGLE_GEMINI_BASE_URL": f"{model.base_url}/google",
        "GEMINI_API_KEY": model.key,
        "GEMINI_MODEL": model.model,
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }


def _qwen(model: ModelAccess, home: Path) -> Mapping[str, str]:
    write_in_home(home, ".qwen/settings.json", json.dumps({"usageStatisticsEnabled": False}))
    return _openai(model, home)


def _codex(model: ModelAccess, home: Path) -> Mapping[str, str]:
    config = write_in_home(
        home,
        ".codex/config.toml",
        "\n".join(
            [
                f"model = {json.dumps(model.model)}",
                'model_provider = "gateway"',
                "check_for_update_on_startup = false",
                "[analytics]",
                "enabled = false",
                "[model_providers.gateway]",
                'name = "gateway"',
                f"base_url = {json.dumps(model.base_url + '/v1')}",
                'env_key = "DEVTEAM_GATEWAY_KEY"',
                'wire_api = "responses"',
                "",
            ]
        ),
    )
    return {"DEVTEAM_GATEWAY_KEY": model.key, "CODEX_HOME": str(config.parent)}


PROFILES: Mapping[str, AgentProfile] = {
    profile.name: profile
    for profile in (
        AgentProfile(
            name="native",
            title="Built-in agent",
            argv=(sys.executable, "-m", "devteam.agent"),
            configure=_native,
            mode="ask",
            usage="tokens of the whole prompt; the gateway's figures decide",
        ),
        AgentProfile(
            name="opencode",
            title="OpenCode",
            argv=("opencode", "acp"),
            configure=_opencode,
            package="opencode-ai@1.18.33",
            usage="tokens of the last call only; cost cumulative, also across a load",
        ),
        AgentProfile(
            name="claude",
            title="Claude Code (bridge)",
            argv=("claude-agent-acp",),
            configure=_claude,
            package="@agentclientprotocol/claude-agent-acp@0.49.0",
            mode="default",
            usage="cumulative for the prompt; cost starts again after a load",
        ),
        AgentProfile(
            name="codex",
            title="Codex (bridge)",
            argv=("codex-acp",),
            configure=_codex,
            package="@agentclientprotocol/codex-acp@2.6.0",
            mode="agent-full-access",
            usage="cumulative tokens, no cost",
        ),
        AgentProfile(
            name="gemini",
            title="Gemini CLI",
            argv=("gemini", "--acp"),
            configure=_gemini,
            package="@google/gemini-cli@0.61.0",
            mode="default",
            # A session that it loads holds each tool's answer twice, which its vendor's models may refuse, and one that
            # began in the same minute is not found.
            loads_sessions=False,
            usage="outside the protocol; the gateway's figures decide",
        ),
        AgentProfile(
            name="qwen",
            title="Qwen Code",
            argv=("qwen", "--acp"),
            configure=_qwen,
            package="@qwen-code/qwen-code@0.15.10",
            usage="per call, outside the protocol; the gateway's figures decide",
        ),
    )
}


def custom_profile(argv: tuple[str, ...]) -> AgentProfile:
    """Any other agent: started by its command line, told its model as the OpenAI tools are."""
    return AgentProfile(name="acp", title=argv[0], argv=argv, configure=_openai)
