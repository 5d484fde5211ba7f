import { toast } from 'sonner'
import { type Problem, problemText, toProblem } from '@/shared/api'

/**
 * Waits for a command's answer and says on screen how it went; null means done. A refusal is returned for those
 * who show it beside their form (`quiet`), else it is a toast.
 */
export async function runCommand(
  answer: Promise<unknown>,
  { done, quiet = false }: { done?: string; quiet?: boolean } = {},
): Promise<Problem | null> {
  try {
    await answer
    if (done) toast.success(done)
    return null
  } catch (error) {
    const problem = toProblem(error)
    const text = problemText(problem)
    if (!quiet) toast.error(problem.title, text === problem.title ? undefined : { description: text })
    return problem
  }
}
