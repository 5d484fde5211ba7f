import { Tabs } from 'radix-ui'
import styled from 'styled-components'
import { t } from '@/shared/ui'

/** The tabs of what there is to see of an attempt. */
export const TabList = styled(Tabs.List)`
  display: flex;
  flex-wrap: wrap;
  gap: ${t.space.s};
  margin: ${t.space.m} 0;
  border-bottom: 1px solid ${t.color.line};
  &[data-flush] { margin: 0; padding: 4px ${t.space.m} 0; }
`
export const Tab = styled(Tabs.Trigger)`
  min-height: 34px;
  padding: 0 6px;
  border: 0;
  border-bottom: 2px solid transparent;
  background: none;
  color: ${t.color.muted};
  font-size: ${t.text.m};
  font-weight: 600;
  cursor: pointer;
  &[data-state='active'] { color: ${t.color.fg}; border-bottom-color: ${t.color.accent}; }
`
