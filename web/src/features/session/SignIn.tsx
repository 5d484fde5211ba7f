import { KeyRound, LoaderCircle } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import styled from 'styled-components'
import { type Problem, problemText, useSignInMutation } from '@/shared/api'
import { runCommand } from '@/shared/lib/runCommand'
import { Button, Mono, Notice, t } from '@/shared/ui'

const Root = styled.main`
  display: grid;
  align-content: center;
  gap: ${t.space.l};
  width: min(480px, calc(100vw - 32px));
  min-height: 90dvh;
  margin: 0 auto;
  h1 { display: flex; align-items: center; gap: 10px; font-size: ${t.text.xl}; }
  h1 svg { width: 22px; height: 22px; color: ${t.color.accent}; }
  pre { padding: 10px 14px; border-radius: ${t.radius.m}; background: ${t.color.sunken}; white-space: pre-wrap; }
  p { color: ${t.color.muted}; }
`

/** Says how to get a sign-in link. */
export function NotSignedIn({ reason }: { reason?: string }) {
  return (
    <Root>
      <h1>
        <KeyRound aria-hidden />
        You are not signed in
      </h1>
      {reason && <Notice tone="info" title={reason} />}
      <p>DevTeam signs you in with a link that works once. On the machine where the engine runs:</p>
      <pre>devteam login-link</pre>
      <p>
        It prints an address: open it in this browser. Without access to that machine, ask your administrator
        for a link.
      </p>
    </Root>
  )
}

/** The engine does not answer at all: nobody knows whether you are signed in. */
export function EngineUnreachable({ onRetry }: { onRetry: () => void }) {
  return (
    <Root>
      <h1>The engine cannot be reached</h1>
      <p>
        This page has loaded, but the engine behind it does not answer. Start it with <Mono>devteam up</Mono>.
        Nothing is lost.
      </p>
      <div>
        <Button look="primary" onClick={onRetry}>
          Try again
        </Button>
      </div>
    </Root>
  )
}

interface SignInProps {
  token: string | undefined
  onSignedIn: () => void
}

/** Trades the link's token for a session, once, then leaves the address with the token behind. */
export function SignIn({ token, onSignedIn }: SignInProps) {
  const [signIn] = useSignInMutation()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [posting, setPosting] = useState(token !== undefined)
  const posted = useRef<string | null>(null)

  useEffect(() => {
    if (!token || posted.current === token) return
    posted.current = token
    void runCommand(signIn({ signInInput: { token } }).unwrap(), { quiet: true }).then((refusal) => {
      setPosting(false)
      if (refusal) setProblem(refusal)
      else onSignedIn()
    })
  }, [token, signIn, onSignedIn])

  if (posting) {
    return (
      <Root>
        <h1 role="status">
          <LoaderCircle aria-hidden />
          Signing you in…
        </h1>
      </Root>
    )
  }
  if (!problem) return <NotSignedIn />
  const unusable = problem.status === 401 || problem.status === 404 || problem.status === 410
  return (
    <NotSignedIn
      reason={
        unusable ? 'This link has expired or was used already. Ask for a new one.' : problemText(problem)
      }
    />
  )
}
