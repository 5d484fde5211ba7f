import { Link } from '@tanstack/react-router'
import styled from 'styled-components'
import { t } from '@/shared/ui'

const Root = styled.main`
  display: grid;
  gap: ${t.space.s};
  justify-items: center;
  padding: 96px ${t.space.l};
  h1 { font-size: ${t.text.xl}; }
`

export function NotFoundPage() {
  return (
    <Root>
      <h1>There is no such page</h1>
      <Link to="/overview">Back to the overview</Link>
    </Root>
  )
}
