import { Play } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import styled from 'styled-components'
import { GateResults } from '@/features/attempts'
import type { CustomerCard, GateResult, TaskStatus } from '@/shared/api'
import {
  CurrentTaskEssential,
  HealthEssential,
  ProgressEssential,
  RemainingEssential,
  StatusEssential,
} from '@/shared/essentials'
import { SHOWN_STATUS_NAME, type ShownStatus, TASK_STATUS_NAME } from '@/shared/lib/words'
import {
  Button,
  ConfirmDialog,
  Dialog,
  Empty,
  Field,
  Hash,
  Kbd,
  Menu,
  MenuItem,
  Notice,
  OutcomeBadge,
  Panel,
  ProblemNotice,
  Progress,
  SkeletonLines,
  StatusBadge,
  TaskStatusBadge,
  Tip,
  t,
} from '@/shared/ui'
import { buildCard, buildGate } from '@/testing/builders'

const Page = styled.main`
  display: grid;
  gap: ${t.space.l};
  max-width: 1100px;
  margin: 0 auto;
  padding: ${t.space.xl};
`
const Row = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.m};
  padding: ${t.space.l};
`
const Group = ({ title, children }: { title: string; children: ReactNode }) => (
  <Panel title={title}>
    <Row>{children}</Row>
  </Panel>
)

const CARDS: Partial<CustomerCard>[] = [
  {},
  {
    executionStatus: 'error',
    statusReason: { code: 'no_worker', text: 'No worker is alive.' },
    healthScore: 0.31,
  },
  { executionStatus: 'paused', pauseRequested: null, healthScore: 0.62, healthTrend: 'down' },
  { executionStatus: null, executionId: null, currentTask: null, healthScore: null, healthTrend: null },
]
const GATES: Partial<GateResult>[] = [
  {},
  { passed: false, baseRed: true, exitCode: 1, text: 'One test that passed before fails now.' },
  { passed: null, tests: null, outputTail: '', text: 'Not run: an earlier gate failed.' },
]

/** Every primitive in every state. */
export function WorkshopPage() {
  const [dialog, setDialog] = useState(false)
  const [confirm, setConfirm] = useState(false)
  return (
    <Page>
      <h1>Workshop</h1>
      <Group title="Buttons">
        <Button>Normal</Button>
        <Button look="primary" icon={<Play aria-hidden />}>
          Primary
        </Button>
        <Button look="danger">Danger</Button>
        <Button look="danger-solid">Danger, solid</Button>
        <Button look="quiet">Quiet</Button>
        <Button pending icon={<Play aria-hidden />}>
          Pending
        </Button>
        <Button disabledBecause="The execution is paused already.">Disabled</Button>
        <Button aria-pressed>Pressed</Button>
        <Button size="s">Small</Button>
        <Button iconOnly aria-label="Icon only" icon={<Play aria-hidden />} />
      </Group>
      <Group title="States of a customer">
        {(Object.keys(SHOWN_STATUS_NAME) as ShownStatus[]).map((status) => (
          <StatusBadge key={status} status={status} />
        ))}
      </Group>
      <Group title="States of a task">
        {(Object.keys(TASK_STATUS_NAME) as TaskStatus[]).map((status) => (
          <TaskStatusBadge key={status} status={status} />
        ))}
      </Group>
      <Group title="Outcomes of an attempt">
        {([null, 'succeeded', 'failed', 'cancelled', 'superseded', 'lost'] as const).map((outcome) => (
          <OutcomeBadge key={String(outcome)} outcome={outcome} />
        ))}
      </Group>
      {CARDS.map((part, index) => {
        const card = buildCard(part)
        return (
          <Group key={index} title={`The five essentials: ${card.executionStatus ?? 'never started'}`}>
            <StatusEssential card={card} />
            <div style={{ width: 260 }}>
              <ProgressEssential card={card} />
            </div>
            <HealthEssential card={card} />
            <RemainingEssential card={card} />
            <div style={{ width: 260 }}>
              <CurrentTaskEssential card={card} />
            </div>
          </Group>
        )
      })}
      <Panel title="Gates">
        <div style={{ padding: 16 }}>
          <GateResults gates={GATES.map(buildGate)} />
        </div>
      </Panel>
      <Group title="Words and marks">
        <Hash hash="0123456789abcdef0123456789abcdef01234567" />
        <Kbd>?</Kbd>
        <Tip text="A hint on hover and focus">
          <Button>With a hint</Button>
        </Tip>
        <div style={{ width: 200 }}>
          <Progress value={0.4} label="Example" text="40 %" />
        </div>
        <Menu trigger={<Button>Menu</Button>}>
          <MenuItem onSelect={() => undefined}>First</MenuItem>
          <MenuItem disabledBecause="Only an administrator may do this." onSelect={() => undefined}>
            Second
          </MenuItem>
        </Menu>
        <Button onClick={() => setDialog(true)}>Dialog</Button>
        <Button onClick={() => setConfirm(true)}>Question</Button>
      </Group>
      <Panel title="Field">
        <div style={{ padding: 16, maxWidth: 360 }}>
          <Field label="Name" hint="As on the invoice.">
            {(control) => <input {...control} />}
          </Field>
          <Field label="Name" error="A customer needs a name.">
            {(control) => <input {...control} />}
          </Field>
        </div>
      </Panel>
      <Panel title="Loading">
        <SkeletonLines count={2} />
      </Panel>
      <Panel title="Empty">
        <Empty title="The queue is empty">Add a task.</Empty>
      </Panel>
      <Group title="Notices">
        <Notice tone="info" title="Information" />
        <Notice tone="needs_you" title="A task is blocked" />
        <Notice tone="denied" title="Only a project manager may do this" />
        <ProblemNotice
          problem={{ type: 'about:blank', title: 'Conflict', status: 409, detail: 'The execution is over.' }}
        />
      </Group>
      <Dialog open={dialog} onOpenChange={setDialog} title="A dialog" description="With a description.">
        Content
      </Dialog>
      <ConfirmDialog
        open={confirm}
        onOpenChange={setConfirm}
        title="Really?"
        description="This cannot be taken back."
        action={<Button look="danger-solid">Do it</Button>}
      >
        {null}
      </ConfirmDialog>
    </Page>
  )
}
