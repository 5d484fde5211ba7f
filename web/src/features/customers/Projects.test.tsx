import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { ProjectView } from '@/shared/api'
import { buildApproval, buildCard, buildExecutor, buildProject, buildTotals } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, problem, recordPosts, server } from '@/testing/server'

async function customer(part: Partial<ProjectView> = {}) {
  const executors = [buildExecutor(), buildExecutor({ name: 'opencode', title: 'OpenCode' })]
  server.use(http.get(`${API}/executors`, () => HttpResponse.json({ executors })))
  const app = await renderApp('/customers/customer-1')
  await app.connect()
  app.show('overview', [buildCard(), buildTotals()])
  await waitFor(() =>
    expect(app.host.socket.sentOf('subscribe').flatMap((message) => message.topics)).toContain(
      'customer:customer-1',
    ),
  )
  app.show('customer:customer-1', [buildCard(), buildProject(part)])
  return app
}

it('edits rules and the command of an agent, and shows a refusal at the rule it is about', async () => {
  const sent: unknown[] = []
  let refuse = true
  server.use(
    http.patch(`${API}/projects/project-1`, async ({ request }) => {
      sent.push(await request.json())
      const errors = [{ field: 'routes.0.choices.1.model', message: 'No such model.' }]
      return refuse ? problem(422, 'The input is wrong.', { errors }) : HttpResponse.json(buildProject())
    }),
  )
  const { user } = await customer({
    routes: [{ when: { kinds: ['bug'] }, choices: [{ executor: 'native' }, { executor: 'opencode' }] }],
  })
  await user.click(await screen.findByRole('button', { name: 'Edit project website' }))
  const form = within(await screen.findByRole('dialog', { name: 'Edit project website' }))
  await form.findAllByRole('option', { name: 'OpenCode' })
  await user.type(form.getByLabelText('Agent command'), "agent 'two words'")
  await user.click(form.getByRole('button', { name: 'Move choice 2 of rule 1 up' }))
  await user.click(form.getByRole('button', { name: 'Add a rule' }))
  const second = within(form.getByRole('group', { name: 'Rule 2' }))
  await user.type(second.getByLabelText('Labels'), 'ui, urgent')
  await user.click(second.getByLabelText('Small'))
  await user.type(second.getByLabelText('Model of choice 1'), 'large')
  await user.click(form.getByRole('button', { name: 'Move rule 2 up' }))
  await user.click(form.getByRole('button', { name: 'Save' }))
  expect(await within(form.getByRole('group', { name: 'Rule 1' })).findByText('No such model.')).toBeVisible()
  refuse = false
  await user.click(form.getByRole('button', { name: 'Remove rule 1' }))
  await user.click(form.getByRole('button', { name: 'Save' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  const old = { when: { kinds: ['bug'] }, choices: [{ executor: 'opencode' }, { executor: 'native' }] }
  const added = {
    when: { labels: ['ui', 'urgent'], sizes: ['small'] },
    choices: [{ executor: 'native', model: 'large' }],
  }
  const agentCommand = ['agent', 'two words']
  expect(sent).toEqual([
    { agentCommand, routes: [added, old] },
    { agentCommand, routes: [old] },
  ])
})

it('takes the ticked ones of the gates that a repository suggests', async () => {
  const gate = (name: string) => ({
    type: 'command',
    name,
    argv: ['make', name],
    stage: 'post_task',
    required: true,
  })
  const asked = recordPosts('/gate-proposals', () =>
    HttpResponse.json({
      baseBranch: 'main',
      commit: 'a'.repeat(40),
      proposals: ['test', 'lint'].map((name) => ({
        gate: gate(name),
        why: `Target ${name}`,
        file: 'Makefile',
      })),
    }),
  )
  const added = recordPosts('/customers/:id/projects', () =>
    HttpResponse.json(buildProject(), { status: 201 }),
  )
  const { user } = await customer()
  await user.click(await screen.findByRole('button', { name: 'Add project' }))
  const form = within(await screen.findByRole('dialog', { name: 'Add a project' }))
  await user.type(form.getByLabelText('Name'), 'site')
  await user.type(form.getByLabelText('Repository'), '/srv/site.git')
  await user.click(form.getByRole('button', { name: 'Propose gates' }))
  expect(await form.findByText('Target lint · Makefile')).toBeVisible()
  await user.click(form.getByRole('checkbox', { name: /^test/ }))
  await user.click(form.getByRole('button', { name: 'Take 1 gate' }))
  expect(form.queryByRole('list', { name: 'Proposed gates' })).toBeNull()
  await user.click(form.getByRole('button', { name: 'Add' }))
  await waitFor(() => expect(added).toHaveLength(1))
  expect(asked.map(({ body }) => body)).toEqual([{ repository: '/srv/site.git' }])
  expect(added[0]?.body).toMatchObject({ gates: [{ name: 'lint', argv: ['make', 'lint'] }] })
})

it('shows approvals of every status', async () => {
  const asked: string[] = []
  server.use(
    http.get(`${API}/approvals`, ({ request }) => {
      const status = new URL(request.url).searchParams.getAll('status')
      asked.push(status.join())
      const approvals = status.length > 0 ? [] : [buildApproval({ status: 'rejected' })]
      return HttpResponse.json({ approvals, nextCursor: null })
    }),
  )
  const app = await renderApp('/approvals')
  await app.connect()
  await screen.findByText('Nothing waits for approval')
  await app.user.click(screen.getByRole('button', { name: 'All' }))
  expect(within(await screen.findByRole('list', { name: 'Approvals' })).getAllByRole('listitem')).not.toEqual(
    [],
  )
  expect(asked).toEqual(['pending', ''])
})
