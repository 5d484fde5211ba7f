import { css } from 'styled-components'
import { t } from '@/shared/ui'

/** The colours of output, taken from the theme so that both themes stay readable. */
export const ansiColors = css`
  .ansi-bold { font-weight: 700; }
  .ansi-italic { font-style: italic; }
  .ansi-dim { opacity: 0.72; }
  .ansi-underline { text-decoration: underline; }
  .ansi-red, .ansi-bright-red { color: ${t.color.error}; }
  .ansi-green, .ansi-bright-green { color: ${t.color.completed}; }
  .ansi-yellow, .ansi-bright-yellow { color: ${t.color.paused}; }
  .ansi-blue, .ansi-bright-blue, .ansi-cyan, .ansi-bright-cyan { color: ${t.color.active}; }
  .ansi-magenta, .ansi-bright-magenta { color: ${t.color.needsYou}; }
  .ansi-black, .ansi-bright-black { color: ${t.color.muted}; }
  .ansi-red-bg, .ansi-bright-red-bg { background: ${t.color.errorSoft}; }
  .ansi-green-bg, .ansi-bright-green-bg { background: ${t.color.completedSoft}; }
  .ansi-yellow-bg, .ansi-bright-yellow-bg { background: ${t.color.pausedSoft}; }
  .ansi-blue-bg, .ansi-cyan-bg, .ansi-bright-blue-bg, .ansi-bright-cyan-bg { background: ${t.color.activeSoft}; }
  .ansi-magenta-bg, .ansi-bright-magenta-bg { background: ${t.color.needsYouSoft}; }
  mark { background: ${t.color.pausedSoft}; color: inherit; box-shadow: 0 0 0 1px ${t.color.paused}; border-radius: 2px; }
`
