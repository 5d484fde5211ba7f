import {
  CircleAlert,
  CircleCheck,
  CircleX,
  FilePen,
  LoaderCircle,
  Lock,
  LockOpen,
  MessageSquarePlus,
  ScanEye,
  Search,
  Terminal,
  Wrench,
} from 'lucide-react'
import { createContext, memo, type ReactNode, useContext, useState } from 'react'
import styled from 'styled-components'
import { clockTime, secondsBetween, shortDuration } from '@/shared/lib/format'
import { FileChange, Mono, Muted, t } from '@/shared/ui'
import { AnsiLine } from './AnsiLine'
import { ansiColors } from './ansiColors'
import { settleLine } from './logBuffer'
import type { Block, PermissionBlock, TextBlock, ToolBlock, ToolState } from './session'

const Item = styled.div`
  min-width: 0;
  font-size: ${t.text.m};
  overflow-wrap: anywhere;
  &[data-type='message'] { padding: ${t.space.s} 0; font-size: ${t.text.base}; white-space: pre-wrap; }
  &[data-type='note'], &[data-type='steer'], &[data-type='permission'] {
    display: grid;
    grid-template-columns: 16px minmax(0, 1fr) auto;
    gap: 2px ${t.space.s};
    padding: 6px 10px;
    border-radius: ${t.radius.m};
    background: ${t.color.sunken};
    white-space: pre-wrap;
  }
  &[data-type='note'] { background: ${t.color.pausedSoft}; & > svg { color: ${t.color.paused}; } }
  &[data-type='steer'] { background: ${t.color.accentSoft}; & > svg { color: ${t.color.accent}; } }
  &[data-allowed='false'] { background: ${t.color.errorSoft}; & > svg { color: ${t.color.error}; } }
  & > svg { width: 15px; height: 15px; margin-top: 2px; color: ${t.color.muted}; }
`
const Fold = styled.details`
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  background: ${t.color.surface};
  & > summary {
    display: grid;
    grid-template-columns: 16px minmax(0, 1fr) auto;
    gap: ${t.space.s};
    align-items: center;
    min-height: 30px;
    padding: 3px 10px;
    cursor: pointer;
    list-style: none;
  }
  & > summary::-webkit-details-marker { display: none; }
  & > summary:hover { background: ${t.color.sunken}; }
  & > summary > :nth-child(2) { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  &[open] > summary > :nth-child(2) { white-space: normal; }
  & > summary svg { width: 15px; height: 15px; color: ${t.color.muted}; }
  [data-state='completed'] svg { color: ${t.color.completed}; }
  [data-state='failed'] svg { color: ${t.color.error}; }
  [data-state='running'] svg { color: ${t.color.active}; }
  &[data-quiet] { border-color: transparent; background: none; color: ${t.color.muted}; font-style: italic; }
  &[data-quiet] > summary { padding-left: 0; }
`
const Inside = styled.div`
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: ${t.space.s};
  padding: ${t.space.s} 10px 10px;
  border-top: 1px solid ${t.color.line};
  p { white-space: pre-wrap; }
  pre {
    max-height: 320px;
    overflow: auto;
    padding: 8px 10px;
    border-radius: ${t.radius.m};
    background: ${t.color.logBg};
    box-shadow: inset 0 0 0 1px ${t.color.line};
    font: 12px / 18px ${t.mono};
    tab-size: 4;
    ${ansiColors}
  }
  [data-line] { min-height: 18px; white-space: pre; width: max-content; min-width: 100%; }
`

const Reviewing = styled.div`
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 2px ${t.space.m};
  align-items: start;
  padding-left: ${t.space.s};
  border-left: 3px solid ${t.color.needsYou};
  & > span { display: inline-flex; align-items: center; gap: 4px; min-height: 32px; color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 600; }
  & > span svg { width: 14px; height: 14px; }
  ${t.narrow} {
    grid-template-columns: minmax(0, 1fr);
    & > span { min-height: 0; }
  }
`

/** Which steps, by ordinal, a reader opened or closed: a step that is scrolled back into sight is as it was left. */
const OpenedContext = createContext(new Map<number, boolean>())
export const OpenedSteps = OpenedContext.Provider

/** One step of a session; what a reviewer does is told apart from the work. */
export const SessionBlock = memo(function SessionBlock({ block }: { block: Block }) {
  if (!block.reviewer) return <Step block={block} />
  return (
    <Reviewing>
      <span>
        <ScanEye aria-hidden /> Reviewer
      </span>
      <Step block={block} />
    </Reviewing>
  )
})

function Step({ block }: { block: Block }) {
  switch (block.type) {
    case 'message':
      return <Item data-type="message">{block.text}</Item>
    case 'prompt':
      return (
        <Folded
          block={block}
          title={block.reviewer ? 'What the reviewer was asked' : 'What the agent was asked'}
        />
      )
    case 'thought':
      return <Folded block={block} title={`Thought: ${firstLine(block.text)}`} quiet />
    case 'note':
      return <Said block={block} icon={<CircleAlert role="img" aria-label="Note" />} />
    case 'steer':
      return <Said block={block} icon={<MessageSquarePlus role="img" aria-label="Guidance" />} />
    case 'permission':
      return <Permission block={block} />
    case 'tool':
      return <Tool block={block} />
  }
}

const firstLine = (text: string) => text.trim().split('\n', 1)[0] ?? ''

function Said({ block, icon }: { block: TextBlock; icon: ReactNode }) {
  return (
    <Item data-type={block.type}>
      {icon}
      <span>{block.text}</span>
      <Muted>{clockTime(block.at)}</Muted>
    </Item>
  )
}

function Permission({ block }: { block: PermissionBlock }) {
  const Icon = block.allowed ? LockOpen : Lock
  return (
    <Item data-type="permission" data-allowed={block.allowed}>
      <Icon aria-hidden />
      <span>
        Asked: {block.title}. <strong>{block.allowed ? 'Allowed' : 'Refused'}</strong> by {block.by}.
      </span>
      <Muted>{clockTime(block.at)}</Muted>
    </Item>
  )
}

/** Opened only when asked for; what is inside is drawn then. */
function Folding(props: {
  ordinal: number
  summary: ReactNode
  quiet?: boolean
  opened?: boolean
  children: () => ReactNode
}) {
  const { ordinal, summary, quiet, opened = false, children } = props
  const remembered = useContext(OpenedContext)
  const [open, setOpen] = useState(remembered.get(ordinal) ?? opened)
  return (
    <Item>
      <Fold
        open={open}
        data-quiet={quiet || undefined}
        onToggle={(event) => {
          remembered.set(ordinal, event.currentTarget.open)
          setOpen(event.currentTarget.open)
        }}
      >
        <summary>{summary}</summary>
        {open && <Inside>{children()}</Inside>}
      </Fold>
    </Item>
  )
}

function Folded({ block, title, quiet = false }: { block: TextBlock; title: string; quiet?: boolean }) {
  return (
    <Folding
      ordinal={block.ordinal}
      quiet={quiet}
      summary={
        <>
          <span aria-hidden>{quiet ? '…' : '»'}</span>
          <span>{title}</span>
          <Muted>{clockTime(block.at)}</Muted>
        </>
      }
    >
      {() => <p>{block.text}</p>}
    </Folding>
  )
}

const KIND_ICON: Record<string, typeof Wrench> = {
  execute: Terminal,
  edit: FilePen,
  search: Search,
  read: Search,
}
const STATE_WORD: Record<ToolState, string> = {
  pending: 'Waiting',
  running: 'Running',
  completed: 'Done',
  failed: 'Failed',
}
const STATE_ICON: Record<ToolState, typeof Wrench> = {
  pending: LoaderCircle,
  running: LoaderCircle,
  completed: CircleCheck,
  failed: CircleX,
}

function Tool({ block }: { block: ToolBlock }) {
  const Icon = KIND_ICON[block.kind] ?? Wrench
  const State = STATE_ICON[block.state]
  const time = block.endedAt === null ? '' : shortDuration(secondsBetween(block.at, block.endedAt))
  return (
    <Folding
      ordinal={block.ordinal}
      opened={block.state === 'failed'}
      summary={
        <>
          <Icon aria-hidden />
          <Mono>{block.title}</Mono>
          <Muted data-state={block.state}>
            {time} <State role="img" aria-label={STATE_WORD[block.state]} />
          </Muted>
        </>
      }
    >
      {() => (
        <>
          {block.changes.map((change, index) => (
            <FileChange key={index} change={change} />
          ))}
          {block.output !== '' && <Output text={block.output} />}
          {block.changes.length === 0 && block.output === '' && <Muted>It shows nothing.</Muted>}
        </>
      )}
    </Folding>
  )
}

function Output({ text }: { text: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part must be reachable by keyboard
    <pre tabIndex={0}>
      {text
        .trimEnd()
        .split('\n')
        .map((line, index) => (
          <div key={index} data-line="same">
            <AnsiLine text={settleLine(line)} mark="" />
          </div>
        ))}
    </pre>
  )
}
