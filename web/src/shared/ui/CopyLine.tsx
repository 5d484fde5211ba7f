import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import { Button } from './Button'
import { copyText } from './text'
import { t } from './tokens'

const Root = styled.div`
  display: flex;
  gap: ${t.space.s};
  align-items: center;
  margin-top: 6px;
  padding: 4px 4px 4px 10px;
  border-radius: ${t.radius.m};
  background: ${t.color.sunken};
  color: ${t.color.fg};
  code { flex: 1; min-width: 0; font-family: ${t.mono}; font-size: ${t.text.s}; overflow-wrap: anywhere; }
`

/** A command to run elsewhere, to be copied whole. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <Root role="group" aria-label={label}>
      <code>{text}</code>
      <Button
        size="s"
        look="quiet"
        iconOnly
        aria-label={copied ? 'Copied' : `Copy: ${label}`}
        icon={copied ? <Check aria-hidden /> : <Copy aria-hidden />}
        onClick={() => void copyText(text).then(() => setCopied(true))}
      />
    </Root>
  )
}
