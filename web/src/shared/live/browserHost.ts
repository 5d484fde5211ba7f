import type { LiveHost, SocketLike } from './realtimeClient'

/** The socket's address: same host as the page, so that the session cookie goes along. */
export function liveUrl(): string {
  const { protocol, host } = window.location
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws/devteam/updates`
}

export const browserHost: LiveHost = {
  openSocket: () => new WebSocket(liveUrl()) as unknown as SocketLike,
  setTimer: (action, ms) => window.setTimeout(action, ms),
  clearTimer: (id) => window.clearTimeout(id),
  nextFrame: (action) => {
    window.requestAnimationFrame(action)
  },
  random: () => Math.random(),
  hidden: () => document.hidden,
}
