/** The form of a new project: what can be seen to be wrong on the page, and what is sent. */
import type { DeliveryMode, ExecutorKind, Gate, ProjectInput } from '@/shared/api'
import { amountOf } from '@/shared/lib/format'

export const NEW_PROJECT = {
  name: '',
  repository: '',
  baseBranch: '',
  deliveryMode: 'branch' as DeliveryMode,
  executor: 'command' as ExecutorKind,
  agentCommand: '',
  model: '',
  budget: '',
  gateName: 'tests',
  gateScript: '',
}

export type NewProject = typeof NEW_PROJECT
export type TextField = Exclude<keyof NewProject, 'deliveryMode' | 'executor' | 'gateScript'>

export function checkProject(values: NewProject): Record<string, string> {
  const byAgent = values.executor !== 'command'
  return {
    ...(values.name.trim() ? {} : { name: 'A project needs a name.' }),
    ...(values.repository.trim() ? {} : { repository: 'Give the path or the address of a git repository.' }),
    ...(values.executor === 'acp' && (wordsOf(values.agentCommand)?.length ?? 0) === 0
      ? { agentCommand: 'Give the command that starts the agent, with its quotes closed.' }
      : {}),
    ...(byAgent && values.budget.trim() !== '' && !(amountOf(values.budget) > 0)
      ? { budgetUsd: 'Give an amount above zero, or leave it empty.' }
      : {}),
  }
}

export function projectInput(values: NewProject): ProjectInput {
  const { executor, deliveryMode } = values
  const gates = gatesOf(values)
  const baseBranch = values.baseBranch.trim()
  const model = values.model.trim()
  const byAgent = executor !== 'command'
  return {
    name: values.name.trim(),
    repository: values.repository.trim(),
    deliveryMode,
    executor,
    ...(baseBranch ? { baseBranch } : {}),
    ...(gates.length > 0 ? { gates } : {}),
    ...(executor === 'acp' ? { agentCommand: wordsOf(values.agentCommand) ?? [] } : {}),
    ...(byAgent && model ? { model } : {}),
    ...(byAgent && values.budget.trim() ? { budgetUsd: amountOf(values.budget) } : {}),
  }
}

function gatesOf({ gateName, gateScript }: NewProject): Gate[] {
  if (!gateScript.trim()) return []
  const name = gateName.trim() || 'tests'
  return [{ name, stage: 'post_task', script: gateScript, required: true, timeoutSeconds: 600 }]
}

/** A command line as words: single and double quotes hold a word together. Null: a quote is not closed. */
export function wordsOf(command: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  for (const character of command) {
    if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else word = (word ?? '') + character
  }
  if (quote !== '') return null
  return word === null ? words : [...words, word]
}
