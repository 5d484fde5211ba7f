import { type Problem, problemText, toProblem } from '@/shared/api'

/** Toasts are loaded with the first one: the page's first paint does not wait for them. */
async function say(what: (toast: typeof import('sonner')['toast']) => void): Promise<void> {
  const { toast } = await import('sonner')
  what(toast)
}

/** Says that something happened, with a way to it. */
export function announce(text: string, action: string, go: () => unknown): void {
  void say((toast) => toast(text, { duration: 12_000, action: { label: action, onClick: () => void go() } }))
}

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
    if (done) void say((toast) => toast.success(done))
    return null
  } catch (error) {
    const problem = toProblem(error)
    if (!quiet) void say((toast) => toast.error(problemText(problem)))
    return problem
  }
}
