import { useCallback, useEffect, useRef, useState } from 'react'
import { useMedia } from '@/shared/lib/useMedia'

export const SPEEDS = [1, 2, 4, 8, 16, 32, 64] as const
export type Speed = (typeof SPEEDS)[number]

export interface Player {
  /** The moment shown, in milliseconds since the epoch. */
  at: number
  playing: boolean
  speed: Speed
  toggle: () => void
  seek: (at: number) => void
  setSpeed: (speed: Speed) => void
}

const TICK_MS = 100
/** For those who want little motion: the same film in few, still pictures. */
const CALM_TICK_MS = 1000

/** Moves through time at a speed while it plays; stops by itself at the end, and begins anew from there. */
export function usePlayer(start: number, end: number): Player {
  const [at, setAt] = useState(start)
  const [playing, setPlaying] = useState(false)
  const [speed, setSpeed] = useState<Speed>(8)
  const calm = useMedia('(prefers-reduced-motion: reduce)')
  const last = useRef(0)

  useEffect(() => {
    if (!playing) return
    last.current = performance.now()
    const timer = window.setInterval(
      () => {
        const now = performance.now()
        const passed = (now - last.current) * speed
        last.current = now
        setAt((before) => Math.min(end, before + passed))
      },
      calm ? CALM_TICK_MS : TICK_MS,
    )
    return () => window.clearInterval(timer)
  }, [playing, speed, calm, end])

  useEffect(() => {
    if (at >= end) setPlaying(false)
  }, [at, end])

  const seek = useCallback((to: number) => setAt(Math.min(end, Math.max(start, to))), [start, end])
  const toggle = () => {
    if (!playing && at >= end) setAt(start)
    setPlaying(!playing)
  }
  return { at: Math.min(end, Math.max(start, at)), playing, speed, toggle, seek, setSpeed }
}
