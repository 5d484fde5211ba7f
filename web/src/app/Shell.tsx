import { Link, Outlet, useNavigate } from '@tanstack/react-router'
import { CircleHelp, Hand, LayoutGrid, LogOut, Moon, Server, Sun, TriangleAlert } from 'lucide-react'
import { useCallback, useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { ApprovalToasts } from '@/features/approvals/ApprovalToasts'
import { EmergencyBanner, EmergencyStop } from '@/features/executions'
import { useGetSessionQuery, useSignOutMutation } from '@/shared/api'
import { runCommand } from '@/shared/lib/runCommand'
import { useTopic } from '@/shared/live/LiveContext'
import { selectWaiting } from '@/shared/state/selectors'
import { Button, FaultBoundary, Muted, t, VisuallyHidden } from '@/shared/ui'
import { ConnectionIndicator, StaleBar } from './ConnectionIndicator'
import { HelpSheet } from './HelpSheet'
import { useTheme } from './theme'
import { useShortcuts } from './useShortcuts'

const Root = styled.div`
  --shell-top: 53px;
  min-height: 100dvh;
  background: ${t.color.surface};
`
const SkipLink = styled.a`
  position: absolute;
  z-index: 50;
  left: 8px;
  top: -60px;
  padding: 8px 14px;
  background: ${t.color.bg};
  &:focus { top: 8px; }
`
const Top = styled.header`
  position: sticky;
  top: 0;
  z-index: 20;
  display: flex;
  align-items: center;
  gap: ${t.space.s} ${t.space.l};
  min-height: 52px;
  padding: 0 ${t.space.xl};
  border-bottom: 1px solid ${t.color.line};
  background: ${t.color.bg};
  ${t.narrow} { padding: 6px ${t.space.m}; flex-wrap: wrap; position: static; }
`
const Brand = styled(Link)`
  display: inline-flex;
  align-items: center;
  gap: 8px;
  color: ${t.color.fg};
  font-size: ${t.text.l};
  font-weight: 700;
  letter-spacing: -0.01em;
  text-decoration: none;
  img { display: block; width: 24px; height: 24px; }
`
const Nav = styled.nav`
  display: flex;
  align-self: stretch;
  gap: ${t.space.xs};
  a {
    display: inline-flex;
    align-items: center;
    gap: 6px;
    padding: 0 10px;
    border-bottom: 2px solid transparent;
    border-top: 2px solid transparent;
    color: ${t.color.muted};
    font-weight: 500;
    text-decoration: none;
    min-height: 40px;
  }
  a:hover { color: ${t.color.fg}; }
  a[aria-current='page'] { color: ${t.color.fg}; border-bottom-color: ${t.color.accent}; }
  svg { width: 15px; height: 15px; }
  b {
    min-width: 20px;
    padding: 0 6px;
    border-radius: 99px;
    background: ${t.color.needsYou};
    color: ${t.color.bg};
    font-size: ${t.text.s};
    font-variant-numeric: tabular-nums;
    line-height: 20px;
    text-align: center;
  }
  ${t.narrow} {
    order: 3;
    flex: 1 1 100%;
    margin: 0 -6px;
    overflow-x: auto;
    a { padding: 0 6px; }
    svg { display: none; }
  }
`
const Right = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s};
  margin-left: auto;
  ${t.narrow} { width: 100%; }
`
const Who = styled(Muted)`
  padding: 0 4px;
  ${t.narrow} { display: none; }
`
const Main = styled.main`
  max-width: 1680px;
  margin: 0 auto;
  padding: ${t.space.l} ${t.space.xl} 64px;
  &:focus { outline: none; }
  ${t.narrow} { padding: ${t.space.m} ${t.space.m} 48px; }
`
const Spacer = styled.span`
  flex: 1;
`

function Count({ of, what }: { of: number; what: string }) {
  if (of === 0) return null
  return (
    <b>
      {of}
      <VisuallyHidden> {what}</VisuallyHidden>
    </b>
  )
}

export function Shell() {
  const navigate = useNavigate()
  const { data: session } = useGetSessionQuery()
  const { theme, toggle } = useTheme()
  const [signOut] = useSignOutMutation()
  const [helpOpen, setHelpOpen] = useState(false)
  const waiting = useSelector(selectWaiting)
  useTopic('overview')
  const { letters, setLetters } = useShortcuts({
    help: useCallback(() => setHelpOpen(true), []),
    go: useCallback((page) => void navigate({ to: `/${page}` as '/overview' }), [navigate]),
  })

  return (
    <Root>
      <SkipLink href="#main">Skip to the content</SkipLink>
      <Top>
        <Brand to="/overview">
          <img src="/favicon.svg" alt="" />
          DevTeam
        </Brand>
        <Nav aria-label="Pages">
          <Link to="/overview" activeOptions={{ includeSearch: false }}>
            <LayoutGrid aria-hidden />
            Overview
          </Link>
          <Link to="/approvals">
            <Hand aria-hidden />
            Approvals <Count of={waiting.approvals} what="waiting" />
          </Link>
          <Link to="/incidents">
            <TriangleAlert aria-hidden />
            Incidents <Count of={waiting.incidents} what="open" />
          </Link>
          <Link to="/system">
            <Server aria-hidden />
            System
          </Link>
        </Nav>
        <Right>
          <ConnectionIndicator />
          <Spacer />
          <EmergencyStop />
          <Button
            look="quiet"
            iconOnly
            aria-label={theme === 'dark' ? 'Light theme' : 'Dark theme'}
            icon={theme === 'dark' ? <Sun aria-hidden /> : <Moon aria-hidden />}
            onClick={toggle}
          />
          <Button
            look="quiet"
            iconOnly
            aria-label="Keyboard help"
            icon={<CircleHelp aria-hidden />}
            onClick={() => setHelpOpen(true)}
          />
          {session && <Who>{session.user.name}</Who>}
          <Button
            look="quiet"
            iconOnly
            aria-label="Sign out"
            icon={<LogOut aria-hidden />}
            onClick={() => void runCommand(signOut().unwrap())}
          />
        </Right>
      </Top>
      <ApprovalToasts />
      <EmergencyBanner />
      <StaleBar />
      <Main id="main" tabIndex={-1}>
        <FaultBoundary what="This page">
          <Outlet />
        </FaultBoundary>
      </Main>
      <HelpSheet open={helpOpen} onOpenChange={setHelpOpen} letters={letters} onLetters={setLetters} />
    </Root>
  )
}
