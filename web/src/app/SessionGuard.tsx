import { type ReactNode, useEffect } from 'react'
import { EngineUnreachable, NotSignedIn } from '@/features/session'
import { toProblem, useGetSessionQuery } from '@/shared/api'
import { useLiveClient } from '@/shared/live/LiveContext'

/** Lets nobody in without a session; the socket lives exactly as long as there is one. */
export function SessionGuard({ children }: { children: ReactNode }) {
  const { currentData: session, error, isLoading, refetch } = useGetSessionQuery()
  const client = useLiveClient()
  const signedIn = session !== undefined && toProblem(error).status !== 401

  useEffect(() => {
    if (!signedIn) return
    client.start()
    return () => client.stop()
  }, [client, signedIn])

  if (signedIn) return children
  if (isLoading) return null
  const { status } = toProblem(error)
  return status === 401 || status === 403 ? (
    <NotSignedIn />
  ) : (
    <EngineUnreachable onRetry={() => void refetch()} />
  )
}
