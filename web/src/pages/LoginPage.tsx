import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { SignIn } from '@/features/session'

const route = getRouteApi('/login')

export function LoginPage() {
  const { token } = route.useSearch()
  const navigate = useNavigate()
  const enter = useCallback(() => void navigate({ to: '/overview', replace: true }), [navigate])
  return <SignIn token={token} onSignedIn={enter} />
}
