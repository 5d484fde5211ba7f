import { type ReactNode, useId } from 'react'
import styled from 'styled-components'
import { t } from './tokens'

const Root = styled.div`
  display: grid;
  gap: 4px;
  align-content: start;
  margin-bottom: ${t.space.m};
  label { font-size: ${t.text.m}; font-weight: 600; }
  small { color: ${t.color.muted}; font-size: ${t.text.s}; }
  [data-error] { color: ${t.color.error}; font-size: ${t.text.s}; font-weight: 500; }
  input, textarea, select {
    width: 100%;
    min-height: 34px;
    padding: 6px 10px;
    border: 1px solid ${t.color.lineStrong};
    border-radius: ${t.radius.m};
    background: ${t.color.bg};
  }
  textarea { min-height: 72px; resize: vertical; }
  [data-mono] { font-family: ${t.mono}; font-size: ${t.text.m}; }
  [aria-invalid='true'] { border-color: ${t.color.error}; box-shadow: 0 0 0 1px ${t.color.error}; }
`

export interface FieldControl {
  id: string
  'aria-invalid': boolean | undefined
  'aria-describedby': string | undefined
}

interface FieldProps {
  label: string
  hint?: ReactNode
  error?: string | undefined
  children: (control: FieldControl) => ReactNode
}

/** A labelled control with its hint and its error tied to it for assistive technology. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId()
  const described = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ')
  return (
    <Root>
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-invalid': error ? true : undefined, 'aria-describedby': described || undefined })}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
      {error && (
        <span data-error id={`${id}-error`}>
          {error}
        </span>
      )}
    </Root>
  )
}

export const FieldRow = styled.div`
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 0 ${t.space.m};
`

/** Fields that few need, folded away. */
export const More = styled.details`
  margin-bottom: ${t.space.m};
  border-top: 1px solid ${t.color.line};
  padding-top: ${t.space.s};
  & > summary { cursor: pointer; font-weight: 600; font-size: ${t.text.m}; min-height: 28px; color: ${t.color.accent}; }
`
