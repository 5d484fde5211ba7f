import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { buildSession } from './builders'

export const API = 'http://devteam.test/api/devteam'

/** The engine of component tests: somebody is signed in; each test adds what it needs. */
export const server = setupServer(
  http.get(`${API}/session`, () => HttpResponse.json(buildSession())),
  http.get(`${API}/customers/:id/activity`, () => HttpResponse.json({ items: [], nextCursor: null })),
  http.get(`${API}/attempts/:id/output`, () =>
    HttpResponse.json({ offset: 0, nextOffset: 0, text: '', complete: false }),
  ),
)

export interface Recorded {
  path: string
  key: string | null
  body: unknown
}

/** Answers POSTs under a path and remembers them. */
export function recordPosts(path: string, answer: (call: Recorded) => Response): Recorded[] {
  const calls: Recorded[] = []
  server.use(
    http.post(`${API}${path}`, async ({ request }) => {
      const text = await request.text()
      const call = {
        path: new URL(request.url).pathname.replace('/api/devteam', ''),
        key: request.headers.get('idempotency-key'),
        body: text === '' ? null : JSON.parse(text),
      }
      calls.push(call)
      return answer(call)
    }),
  )
  return calls
}

export function problem(status: number, title: string, more: object = {}): Response {
  return HttpResponse.json(
    { type: 'about:blank', title, status, detail: title, code: 'refused', ...more },
    { status, headers: { 'content-type': 'application/problem+json' } },
  )
}
