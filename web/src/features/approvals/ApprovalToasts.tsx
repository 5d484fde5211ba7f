import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { useSelector } from 'react-redux'
import { type CustomerCard, useLazyListApprovalsQuery } from '@/shared/api'
import { useWhyNot } from '@/shared/lib/permissions'
import { announce } from '@/shared/lib/runCommand'
import type { LiveRoot } from '@/shared/state/selectors'

/** Says so, wherever one is, when something begins to wait for those who may answer it. */
export function ApprovalToasts() {
  const customers = useSelector((state: LiveRoot) => state.devTeam.customers.byId)
  const before = useRef<Record<string, CustomerCard> | null>(null)
  const [look] = useLazyListApprovalsQuery()
  const mayNot = useWhyNot('answer_approval')
  const navigate = useNavigate()

  useEffect(() => {
    const known = before.current
    before.current = customers
    if (known === null || mayNot !== null || Object.keys(known).length === 0) return
    for (const card of Object.values(customers)) {
      const earlier = known[card.id]
      if (!earlier || card.approvalsPending <= earlier.approvalsPending) continue
      void look({ customerId: card.id, status: ['pending'], limit: 1 })
        .unwrap()
        .then(({ approvals: [newest] }) => {
          if (!newest) return
          announce(`${card.name} waits for you: ${newest.title}`, 'Show', () =>
            navigate({ to: '/approvals/$id', params: { id: newest.id } }),
          )
        })
        .catch(() => undefined) // the counts on the page say it too
    }
  }, [customers, look, mayNot, navigate])
  return null
}
