import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from '@/app/App'
import { router } from '@/app/router'
import { createLiveClient, createStore } from '@/app/store'
import { browserHost } from '@/shared/live/browserHost'
import '@/shared/ui/theme.css'

const store = createStore()
const client = createLiveClient(store, browserHost)
document.addEventListener('visibilitychange', () => client.visibilityChanged())
window.addEventListener('online', () => client.hurry())

// A part of the page that the engine no longer has: it was updated under this tab. Take the new page, but never in a loop.
window.addEventListener('vite:preloadError', () => {
  const last = Number(sessionStorage.getItem('devteam.reloadedAt') ?? 0)
  if (Date.now() - last < 60_000) return
  sessionStorage.setItem('devteam.reloadedAt', String(Date.now()))
  window.location.reload()
})

const container = document.getElementById('root')
if (!container) throw new Error('index.html has no #root')
createRoot(container).render(
  <StrictMode>
    <App store={store} client={client} router={router} />
  </StrictMode>,
)
