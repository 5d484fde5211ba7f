import { useEffect, useState } from 'react'

const KEY = 'devteam.letterKeys'

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input, textarea, select, [contenteditable], [role=menu]') !== null
  )
}

function moveInList(step: 1 | -1): void {
  const items = [...document.querySelectorAll<HTMLElement>('[data-nav-item]')]
  if (items.length === 0) return
  const at = items.findIndex(
    (item) =>
      item === document.activeElement ||
      item.closest('article, [role=row]')?.contains(document.activeElement),
  )
  const next =
    at === -1 ? (step === 1 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step))
  items[next]?.focus()
}

/** Brings the focus to an answer of the approval that has it, or of the first; only Enter gives it. */
function toAnswer(answer: 'approve' | 'reject'): void {
  const here = document.activeElement?.closest('[data-approval]')
  const item = here ?? document.querySelector('[data-approval]:has([data-answer])')
  item?.querySelector<HTMLElement>(`[data-answer=${answer}]`)?.focus()
}

const PAGES = { o: 'overview', a: 'approvals', i: 'incidents', s: 'system' } as const
export type Page = (typeof PAGES)[keyof typeof PAGES]

interface Actions {
  help: () => void
  go: (page: Page) => void
}

/** Page-wide keys. Letters can be switched off and never act while somebody types or a dialog is open. */
export function useShortcuts({ help, go }: Actions): { letters: boolean; setLetters: (on: boolean) => void } {
  const [letters, setLetters] = useState(() => localStorage.getItem(KEY) !== 'off')

  useEffect(() => {
    if (!letters) return
    let leader = false
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return
      if (document.querySelector('[role=dialog], [role=alertdialog]')) return
      const led = leader
      leader = event.key === 'g'
      const page = led ? PAGES[event.key as keyof typeof PAGES] : undefined
      if (page) go(page)
      else if (event.key === 'a') toAnswer('approve')
      else if (event.key === 'r') toAnswer('reject')
      else if (event.key === '?') help()
      else if (event.key === 'j') moveInList(1)
      else if (event.key === 'k') moveInList(-1)
      else if (event.key === '/') document.querySelector<HTMLElement>('[data-search]')?.focus()
      else return
      event.preventDefault()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [letters, help, go])

  return {
    letters,
    setLetters: (on) => {
      localStorage.setItem(KEY, on ? 'on' : 'off')
      setLetters(on)
    },
  }
}
