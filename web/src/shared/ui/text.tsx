import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import { shortHash } from '@/shared/lib/format'
import { Button } from './Button'
import { t } from './tokens'

export const Muted = styled.span`
  color: ${t.color.muted};
  font-size: ${t.text.s};
`
export const Num = styled.span`
  font-variant-numeric: tabular-nums;
`
export const Mono = styled.code`
  font-family: ${t.mono};
  font-size: ${t.text.s};
  overflow-wrap: anywhere;
`
export const Kbd = styled.kbd`
  display: inline-block;
  min-width: 22px;
  padding: 1px 6px;
  border: 1px solid ${t.color.lineStrong};
  border-bottom-width: 2px;
  border-radius: ${t.radius.s};
  background: ${t.color.surface};
  font-size: ${t.text.s};
  text-align: center;
`
export const VisuallyHidden = styled.span`
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
`
const HashRoot = styled.span`
  display: inline-flex;
  align-items: center;
  gap: 2px;
`

/** Copies, also on pages served over plain http from another host, where the clipboard API is missing. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}

/** A commit's short hash with a button that copies the whole one. */
export function Hash({ hash, label = 'commit' }: { hash: string; label?: string }) {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    await copyText(hash)
    setCopied(true)
    window.setTimeout(() => setCopied(false), 1500)
  }
  return (
    <HashRoot>
      <Mono title={hash}>{shortHash(hash)}</Mono>
      <Button
        look="quiet"
        size="s"
        iconOnly
        icon={copied ? <Check aria-hidden /> : <Copy aria-hidden />}
        aria-label={copied ? 'Copied' : `Copy ${label} ${shortHash(hash)}`}
        onClick={() => void copy()}
      />
    </HashRoot>
  )
}
