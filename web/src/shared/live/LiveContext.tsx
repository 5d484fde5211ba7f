import { createContext, useContext, useEffect } from 'react'
import type { RealtimeClient } from './realtimeClient'

const LiveContext = createContext<RealtimeClient | null>(null)

export const LiveProvider = LiveContext.Provider

export function useLiveClient(): RealtimeClient {
  const client = useContext(LiveContext)
  if (client === null) throw new Error('useLiveClient outside a LiveProvider')
  return client
}

/** Follow a topic while the component is on screen. */
export function useTopic(topic: string): void {
  const client = useLiveClient()
  useEffect(() => client.subscribe(topic), [client, topic])
}
