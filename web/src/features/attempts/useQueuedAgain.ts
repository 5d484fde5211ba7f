import { useNavigate } from '@tanstack/react-router'
import { announce } from '@/shared/lib/runCommand'

/** What follows on a task that is in its queue again: it is said, with a way to the task. */
export function useQueuedAgain(taskId: string, text: string, onClose: () => void): () => void {
  const navigate = useNavigate()
  return () => {
    onClose()
    announce(text, 'Show the task', () => navigate({ to: '/tasks/$id', params: { id: taskId } }))
  }
}
