"""The one WebSocket route. The application's hub is `app.state.live_hub`."""

from fastapi import APIRouter, WebSocket

from devteam.live.hub import LiveHub

router = APIRouter()


@router.websocket("/ws/devteam/updates")
async def live_updates(socket: WebSocket) -> None:
    """Live updates: see the live protocol."""
    hub: LiveHub = socket.app.state.live_hub
    await hub.serve(socket)
