/** Gates as they are typed, and as they are sent. Pure. */
import type { ExecutorKind, Gate, GateProposal, GateStage } from '@/shared/api'
import { linesOf, shellLine, textOfLines } from '@/shared/lib/text'

export type GateType = NonNullable<Gate['type']>

/** Every type's fields side by side: what was typed for one type is still there when another one was looked at. */
export interface GateDraft {
  type: GateType
  name: string
  stage: GateStage
  required: boolean
  /** Empty: the type's own. */
  timeoutSeconds: string
  script: string
  /** The command as an argument list, for as long as nobody changes it. */
  argv: string[] | null
  path: string
  pattern: string
  /** The file must exist, the pattern must be found. */
  positive: boolean
  url: string
  expectedStatus: string
  contains: string
  check: string
  options: Record<string, string>
  /** Who reviews. */
  executor: ExecutorKind
  model: string
}

export const NEW_GATE: GateDraft = {
  type: 'command',
  name: '',
  stage: 'post_task',
  required: true,
  timeoutSeconds: '',
  script: '',
  argv: null,
  path: '',
  pattern: '',
  positive: true,
  url: '',
  expectedStatus: '200',
  contains: '',
  check: 'secret_scan',
  options: {},
  executor: 'native',
  model: '',
}

export const GATE_TYPE_NAME: Record<GateType, string> = {
  command: 'Command succeeds',
  regex: 'Pattern in a file',
  file: 'File',
  http: 'Address answers',
  builtin: 'Built-in check',
  review: 'Review by a second agent',
}

interface CheckOption {
  key: string
  label: string
  hint?: string
  kind: 'lines' | 'count'
}

interface Check {
  title: string
  hint: string
  options: CheckOption[]
}

/** What the built-in checks can be told. One that is not listed here takes its options as JSON. */
export const CHECKS: Record<string, Check> = {
  secret_scan: {
    title: 'No secrets',
    hint: 'Keys, tokens and passwords in what was changed.',
    options: [
      { key: 'allowPaths', label: 'Paths not looked at', hint: 'One pattern a line.', kind: 'lines' },
    ],
  },
  dependency_changes: {
    title: 'Dependency changes',
    hint: 'A person is asked before a dependency comes, goes or changes.',
    options: [{ key: 'allow', label: 'Packages that may change', hint: 'One a line.', kind: 'lines' }],
  },
  licence_changes: {
    title: 'Licences of new dependencies',
    hint: 'A new dependency must have one of these licences.',
    options: [
      {
        key: 'allow',
        label: 'Licences that may come',
        hint: 'As SPDX writes them, one a line.',
        kind: 'lines',
      },
    ],
  },
  diff_size: {
    title: 'Size of the change',
    hint: 'How much a task may change at most.',
    options: [
      { key: 'maxFiles', label: 'Files at most', kind: 'count' },
      { key: 'maxLines', label: 'Lines at most', kind: 'count' },
    ],
  },
  protected_paths: {
    title: 'Protected paths',
    hint: 'A person is asked before one of these is changed.',
    options: [{ key: 'paths', label: 'More protected paths', hint: 'One pattern a line.', kind: 'lines' }],
  },
  weakened_tests: {
    title: 'Tests are not weakened',
    hint: 'Deleted, skipped or loosened tests.',
    options: [{ key: 'paths', label: 'More paths of tests', hint: 'One pattern a line.', kind: 'lines' }],
  },
  changed_coverage: {
    title: 'Coverage of added lines',
    hint: 'The share of the added lines that tests must run.',
    options: [
      { key: 'minimumPercent', label: 'Percent at least', kind: 'count' },
      {
        key: 'reports',
        label: 'Reports',
        hint: 'Where gates leave one; empty: the usual places.',
        kind: 'lines',
      },
    ],
  },
  nothing_happened: {
    title: 'Something was changed',
    hint: 'A task that changed nothing fails.',
    options: [],
  },
}

/** Where options of a check stand that this page knows nothing of. */
export const OTHER_OPTIONS = 'json'

export function gateDraftOf(gate: Gate): GateDraft {
  const draft: GateDraft = {
    ...NEW_GATE,
    type: gate.type ?? 'command',
    name: gate.name,
    stage: gate.stage ?? 'post_task',
    required: gate.required ?? true,
    timeoutSeconds: gate.timeoutSeconds === undefined ? '' : String(gate.timeoutSeconds),
  }
  switch (gate.type) {
    case 'regex':
      return { ...draft, path: gate.path, pattern: gate.pattern, positive: gate.present ?? true }
    case 'file':
      return { ...draft, path: gate.path, positive: gate.exists ?? true }
    case 'http':
      return {
        ...draft,
        url: gate.url,
        expectedStatus: String(gate.expectedStatus ?? 200),
        contains: gate.contains ?? '',
      }
    case 'builtin':
      return { ...draft, check: gate.check, options: optionTexts(gate.check, gate.options ?? {}) }
    case 'review':
      return { ...draft, executor: gate.executor, model: gate.model ?? '' }
    default: {
      const argv = gate.argv ?? null
      return { ...draft, argv, script: argv ? shellLine(argv) : (gate.script ?? '') }
    }
  }
}

function optionTexts(check: string, options: Record<string, unknown>): Record<string, string> {
  const known = CHECKS[check]
  if (!known) return { [OTHER_OPTIONS]: JSON.stringify(options, null, 2) }
  const texts: Record<string, string> = {}
  for (const { key } of known.options) {
    const value = options[key]
    if (Array.isArray(value)) texts[key] = textOfLines(value.map(String))
    else if (value !== undefined && value !== null) texts[key] = String(value)
  }
  return texts
}

/** A gate that was never filled in is no gate. */
export const isBlank = (gate: GateDraft) => gate.type === 'command' && !gate.script.trim()

/** The gates with those proposals that are not among them yet, by name; what was never filled in makes room. */
export function withProposals(gates: readonly GateDraft[], chosen: readonly GateProposal[]): GateDraft[] {
  const kept = gates.filter((gate) => !isBlank(gate))
  const names = new Set(kept.map(({ name }) => name.trim()))
  return [
    ...kept,
    ...chosen
      .filter(({ gate }) => !names.has(gate.name))
      .map(({ gate }) => gateDraftOf({ ...gate, type: 'command' })),
  ]
}

/** What of the draft cannot be sent, as a sentence; null when it can. */
export function gateTrouble(draft: GateDraft): string | null {
  if (!draft.name.trim()) return 'A gate needs a name.'
  if (draft.timeoutSeconds.trim() && !(Number(draft.timeoutSeconds) > 0))
    return 'The time limit is a number of seconds above zero.'
  switch (draft.type) {
    case 'command':
      return draft.script.trim() ? null : 'Give the script to run.'
    case 'file':
      return draft.path.trim() ? null : 'Give a path or a pattern of paths.'
    case 'regex':
      return draft.path.trim() && draft.pattern ? null : 'Give the pattern and where to look for it.'
    case 'http':
      return /^https?:\/\/./.test(draft.url.trim())
        ? null
        : 'Give an address that begins with http:// or https://.'
    case 'builtin':
      return optionTrouble(draft)
    case 'review':
      return null
  }
}

function optionTrouble({ check, options }: GateDraft): string | null {
  const known = CHECKS[check]
  if (!known) return parsed(options[OTHER_OPTIONS]) ? null : 'The options are no JSON object.'
  const wrong = known.options.find(
    ({ key, kind }) => kind !== 'lines' && options[key]?.trim() && !(Number(options[key]) >= 0),
  )
  return wrong ? `“${wrong.label}” is a number.` : null
}

function parsed(text = '{}'): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text.trim() || '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

export function gateOf(draft: GateDraft): Gate {
  const { stage, required } = draft
  const timeoutSeconds = draft.timeoutSeconds.trim() ? Number(draft.timeoutSeconds) : undefined
  const common = {
    name: draft.name.trim(),
    stage,
    required,
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  }
  const path = draft.path.trim()
  switch (draft.type) {
    case 'command':
      return { type: 'command', ...common, ...(draft.argv ? { argv: draft.argv } : { script: draft.script }) }
    case 'regex':
      return { type: 'regex', ...common, path, pattern: draft.pattern, present: draft.positive }
    case 'file':
      return { type: 'file', ...common, path, exists: draft.positive }
    case 'http':
      return {
        type: 'http',
        ...common,
        url: draft.url.trim(),
        expectedStatus: Number(draft.expectedStatus),
        ...(draft.contains.trim() ? { contains: draft.contains } : {}),
      }
    case 'review':
      return {
        type: 'review',
        ...common,
        stage: 'post_task',
        executor: draft.executor,
        ...(draft.model.trim() ? { model: draft.model.trim() } : {}),
      }
    case 'builtin':
      return {
        type: 'builtin',
        ...common,
        stage: 'post_task',
        check: draft.check as Extract<Gate, { type: 'builtin' }>['check'],
        options: optionsOf(draft),
      }
  }
}

function optionsOf({ check, options }: GateDraft): Record<string, unknown> {
  const known = CHECKS[check]
  if (!known) return parsed(options[OTHER_OPTIONS]) ?? {}
  const out: Record<string, unknown> = {}
  for (const { key, kind } of known.options) {
    const text = options[key]?.trim() ?? ''
    if (text) out[key] = kind === 'lines' ? linesOf(text) : Number(text)
  }
  return out
}
