import Anser from 'anser'
import { memo, type ReactNode } from 'react'

/** One line of output with its colours, as classes: no markup of the output ever reaches the page. */
export const AnsiLine = memo(function AnsiLine({ text, mark }: { text: string; mark: string }): ReactNode {
  if (!text.includes('\x1b')) return marked(text, mark)
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map((part, index) => {
    const classes = [part.fg, part.bg && `${part.bg}-bg`, ...part.decorations.map((each) => `ansi-${each}`)]
    return (
      <span key={index} className={classes.filter(Boolean).join(' ') || undefined}>
        {marked(part.content, mark)}
      </span>
    )
  })
})

function marked(text: string, mark: string): ReactNode {
  if (mark === '') return text
  const at = text.toLowerCase().indexOf(mark.toLowerCase())
  if (at === -1) return text
  const end = at + mark.length
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, end)}</mark>
      {marked(text.slice(end), mark)}
    </>
  )
}
