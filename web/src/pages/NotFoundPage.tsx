import { Link } from '@tanstack/react-router'
import { Empty } from '@/shared/ui'

export function NotFoundPage() {
  return (
    <Empty title="There is no such page">
      <Link to="/overview">Back to the overview</Link>
    </Empty>
  )
}
