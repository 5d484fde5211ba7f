import styled from 'styled-components'
import { t } from '@/shared/ui'

export const Crumbs = styled.nav`
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  min-height: 30px;
  margin-bottom: ${t.space.xs};
  color: ${t.color.muted};
  font-size: ${t.text.m};
  overflow-wrap: anywhere;
`
export const PageTitle = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s} ${t.space.m};
  margin-bottom: ${t.space.l};
  h1 { flex: 1 1 300px; font-size: 22px; letter-spacing: -0.015em; line-height: 1.25; overflow-wrap: anywhere; }
`
export const Stack = styled.div`
  display: grid;
  gap: ${t.space.l};
  grid-template-columns: minmax(0, 1fr);
`
export const Padded = styled.div`
  padding: ${t.space.s} ${t.space.l} ${t.space.l};
`
