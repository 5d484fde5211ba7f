import styled from 'styled-components'
import { t } from './tokens'

const Track = styled.div`
  position: relative;
  height: 6px;
  border-radius: 3px;
  background: ${t.color.sunken};
  box-shadow: inset 0 0 0 1px ${t.color.line};
  overflow: hidden;
  &::after {
    content: '';
    position: absolute;
    inset: 0;
    border-radius: 3px;
    background: ${t.color.active};
    transform: scaleX(var(--p));
    transform-origin: left;
    transition: transform 300ms;
  }
  &[data-tone='error']::after { background: ${t.color.error}; }
  &[data-tone='paused']::after { background: ${t.color.paused}; }
  &[data-tone='completed']::after { background: ${t.color.completed}; }
  &[data-tone='quiet']::after { background: ${t.color.lineStrong}; }
  @media (forced-colors: active) { border: 1px solid; &::after { background: Highlight; } }
`

export function Progress(props: { value: number; label: string; text: string; tone?: string }) {
  const value = Math.min(1, Math.max(0, props.value))
  return (
    <Track
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(value * 100)}
      aria-valuetext={props.text}
      data-tone={props.tone}
      style={{ '--p': value } as React.CSSProperties}
    />
  )
}
