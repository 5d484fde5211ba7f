import { Link, useNavigate } from '@tanstack/react-router'
import { ChevronDown, ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { type CustomerCard, type PriorityClass, useEditCustomerMutation } from '@/shared/api'
import {
  CurrentTaskEssential,
  HealthEssential,
  NeedsYouMark,
  ProgressEssential,
  RemainingEssential,
  StatusEssential,
} from '@/shared/essentials'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { ACTIVITY_NAME, shownStatus } from '@/shared/lib/words'
import { useAsOf } from '@/shared/live/useAsOf'
import type { LiveRoot } from '@/shared/state/selectors'
import { Button, Menu, MenuItem, Muted, Tip, t } from '@/shared/ui'
import { PriorityOptions } from './AddCustomer'

const Crumbs = styled.nav`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px;
  min-height: 30px;
  margin-bottom: ${t.space.s};
  color: ${t.color.muted};
  font-size: ${t.text.m};
  svg { width: 14px; height: 14px; }
  span[aria-current] { color: ${t.color.fg}; overflow: hidden; text-overflow: ellipsis; max-width: 60vw; white-space: nowrap; }
`
const Root = styled.header`
  display: grid;
  gap: ${t.space.m};
  margin-bottom: ${t.space.l};
  padding: ${t.space.l};
  border: 1px solid ${t.color.line};
  border-left: 5px dotted ${t.color.lineStrong};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
  box-shadow: ${t.shadow};
  &[data-status='active'] { border-left: 5px solid ${t.color.active}; }
  &[data-status='paused'] { border-left: 5px dashed ${t.color.paused}; }
  &[data-status='error'] { border-left: 6px double ${t.color.error}; }
  &[data-status='completed'] { border-left: 3px solid ${t.color.completed}; }
  &[data-status='completed_with_failures'] { border-left: 4px dashed ${t.color.error}; }
  &[data-needs-you] { border-left: 6px solid ${t.color.needsYou}; }
  &[data-stale] { font-style: italic; }
`
const Title = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s} ${t.space.m};
  h1 { font-size: 22px; letter-spacing: -0.015em; line-height: 1.2; overflow-wrap: anywhere; }
  select {
    min-height: 30px;
    padding: 0 6px;
    border: 1px solid ${t.color.line};
    border-radius: ${t.radius.m};
    background: ${t.color.bg};
    font-size: ${t.text.m};
    &:disabled { color: ${t.color.muted}; }
  }
  & > :last-child { margin-left: auto; }
  ${t.narrow} { & > :last-child { margin-left: 0; } }
`
const Five = styled.div`
  display: grid;
  grid-template-columns: minmax(200px, 1.4fr) 150px minmax(170px, auto) minmax(220px, 2fr);
  gap: ${t.space.s} ${t.space.xl};
  align-items: start;
  & > div { min-width: 0; }
  h2 { color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 400; }
  @media (max-width: 1000px) { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); [data-wide] { grid-column: 1 / -1; } }
`

/** Where am I, and the way to another customer. */
export function CustomerCrumbs({ id, name }: { id: string; name: string }) {
  const navigate = useNavigate()
  const customers = useSelector((state: LiveRoot) => state.devTeam.customers.byId)
  const others = Object.values(customers)
    .filter((card) => card.id !== id && !card.archived)
    .sort((a, b) => a.name.localeCompare(b.name))
    .slice(0, 50)
  return (
    <Crumbs aria-label="Breadcrumb">
      <Link to="/overview">Overview</Link>
      <ChevronRight aria-hidden />
      <span aria-current="page">{name}</span>
      {others.length > 0 && (
        <Menu
          trigger={
            <Button look="quiet" size="s" icon={<ChevronDown aria-hidden />}>
              Switch customer
            </Button>
          }
        >
          {others.map((card) => (
            <MenuItem
              key={card.id}
              onSelect={() => void navigate({ to: '/customers/$id', params: { id: card.id } })}
            >
              {card.name}
            </MenuItem>
          ))}
        </Menu>
      )}
    </Crumbs>
  )
}

function PrioritySelect({ card }: { card: CustomerCard }) {
  const [change, { isLoading }] = useEditCustomerMutation()
  const notPermitted = useWhyNot('command')
  const select = (
    <span>
      <select
        aria-label="Priority class"
        value={card.priorityClass}
        disabled={notPermitted !== null || isLoading}
        onChange={(event) =>
          void runCommand(
            change({
              customerId: card.id,
              customerPatch: { priorityClass: event.target.value as PriorityClass },
            }).unwrap(),
            {
              done: 'Priority class changed',
            },
          )
        }
      >
        <PriorityOptions />
      </select>
    </span>
  )
  return notPermitted ? <Tip text={notPermitted}>{select}</Tip> : select
}

/** The customer's name, the five essentials and the controls. */
export function CustomerHeader({ card, controls }: { card: CustomerCard; controls: ReactNode }) {
  const asOf = useAsOf(5)
  return (
    <Root
      data-status={shownStatus(card)}
      data-needs-you={card.needsYou > 0 || undefined}
      data-stale={asOf ? true : undefined}
    >
      <Title>
        <h1>{card.name}</h1>
        <StatusEssential card={card} />
        {card.activity && card.executionStatus !== 'paused' && <Muted>{ACTIVITY_NAME[card.activity]}</Muted>}
        {card.needsYou > 0 && <NeedsYouMark count={card.needsYou} />}
        {asOf && <Muted>as of {asOf}</Muted>}
        <PrioritySelect card={card} />
        {controls}
      </Title>
      <Five>
        <div data-wide>
          <h2>Progress</h2>
          <ProgressEssential card={card} />
        </div>
        <div>
          <h2>Health</h2>
          <HealthEssential card={card} />
        </div>
        <div>
          <h2>Time remaining</h2>
          <RemainingEssential card={card} />
        </div>
        <div data-wide>
          <CurrentTaskEssential card={card} />
        </div>
      </Five>
    </Root>
  )
}
