import { Link, Outlet, useNavigate } from '@tanstack/react-router'
import { CircleHelp, LayoutGrid, LogOut, Moon, Server, Sun } from 'lucide-react'
import { useCallback, useState } from 'react'
import styled from 'styled-components'
import { EmergencyBanner, EmergencyStop } from '@/features/executions'
import { useGetSessionQuery, useSignOutMutation } from '@/shared/api'
import { runCommand } from '@/shared/lib/runCommand'
import { useTopic } from '@/shared/live/LiveContext'
import { Button, FaultBoundary, Muted, t } from '@/shared/ui'
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

export function Shell() {
  const navigate = useNavigate()
  const { data: session } = useGetSessionQuery()
  const { theme, toggle } = useTheme()
  const [signOut] = useSignOutMutation()
  const [helpOpen, setHelpOpen] = useState(false)
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
