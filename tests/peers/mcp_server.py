"""A small MCP server over pipes: `ask_project_manager` answers, `slow` reports progress first, `broken` fails."""

import json
import sys
import time
from typing import Any

Json = dict[str, Any]

TOOLS: list[Json] = [
    {
        "name": "ask_project_manager",
        "description": "Ask the project manager",
        "inputSchema": {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
        "annotations": {"readOnlyHint": True},
    },
    {"name": "slow", "description": "Takes its time", "inputSchema": {"type": "object"}},
    {"name": "broken", "description": "Fails", "inputSchema": {"type": "object"}},
]


def send(message: Json) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(method: str, params: Json) -> Json:
    if method == "initialize":
        about = {"name": "peer", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":  # two pages
        return {"tools": TOOLS[1:]} if params.get("cursor") else {"tools": TOOLS[:1], "nextCursor": "2"}
    match params["name"]:
        case "slow":
            for step in range(4):
                time.sleep(0.5)
                token = params["_meta"]["progressToken"]
                send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
            return {"content": [{"type": "text", "text": "slow but done"}]}
        case "broken":
            return {"content": [{"type": "text", "text": "it broke"}], "isError": True}
        case _:
            question = params["arguments"]["question"]
            return {"content": [{"type": "text", "text": f"The answer to {question!r} is 42."}]}


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            send({"id": message["id"], "result": answer(message["method"], message.get("params") or {})})


if __name__ == "__main__":
    main()
