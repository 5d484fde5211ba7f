import type { CustomerSnapshot, EntityView, OverviewSnapshot } from '@/shared/api'
import type { TopicSnapshot } from './realtimeClient'

/** A topic's state over HTTP; null where there is none or the engine does not answer. `no-cache` revalidates by ETag. */
export async function pollTopic(topic: string): Promise<TopicSnapshot | null> {
  const path = topicPath(topic)
  if (path === null) return null
  try {
    const answer = await fetch(`${window.location.origin}/api/devteam/${path}`, {
      cache: 'no-cache',
      credentials: 'same-origin',
    })
    if (!answer.ok) return null
    return topic === 'overview'
      ? fromOverview(topic, (await answer.json()) as OverviewSnapshot)
      : fromCustomer(topic, (await answer.json()) as CustomerSnapshot)
  } catch {
    return null // unreachable: the next poll tries again, and the page says "Disconnected"
  }
}

function topicPath(topic: string): string | null {
  if (topic === 'overview') return 'executions'
  return topic.startsWith('customer:') ? `customers/${topic.slice('customer:'.length)}` : null
}

function fromOverview(topic: string, { epoch, seq, customers, system }: OverviewSnapshot): TopicSnapshot {
  return { topic, epoch, seq, entities: [...customers, system] }
}

function fromCustomer(topic: string, snapshot: CustomerSnapshot): TopicSnapshot {
  const { epoch, seq, customer, execution, projects, tasks, attempts, approvals, incidents } = snapshot
  const entities: EntityView[] = [customer, ...projects, ...tasks, ...attempts, ...approvals, ...incidents]
  if (execution) entities.push(execution)
  return { topic, epoch, seq, entities }
}
