import { useEffect, useSyncExternalStore } from 'react'
import { useMedia } from '@/shared/lib/useMedia'

type Choice = 'system' | 'light' | 'dark'

const KEY = 'devteam.theme'
const listeners = new Set<() => void>()

function choice(): Choice {
  const value = localStorage.getItem(KEY)
  return value === 'light' || value === 'dark' ? value : 'system'
}

function choose(next: Choice): void {
  if (next === 'system') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, next)
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The system's theme unless the person chose the other one; the choice is kept in this browser. */
export function useTheme(): { theme: 'light' | 'dark'; toggle: () => void } {
  const chosen = useSyncExternalStore(subscribe, choice)
  const system = useMedia('(prefers-color-scheme: dark)') ? 'dark' : 'light'
  const theme = chosen === 'system' ? system : chosen

  useEffect(() => {
    document.documentElement.dataset.theme = theme
  }, [theme])

  const other = theme === 'dark' ? 'light' : 'dark'
  return { theme, toggle: () => choose(other === system ? 'system' : other) }
}
