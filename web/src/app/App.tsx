import { type AnyRouter, RouterProvider } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { Provider } from 'react-redux'
import { LiveProvider } from '@/shared/live/LiveContext'
import type { RealtimeClient } from '@/shared/live/realtimeClient'
import { TipProvider } from '@/shared/ui'
import type { AppStore } from './store'
import { useTheme } from './theme'

const Toaster = lazy(() => import('sonner').then((sonner) => ({ default: sonner.Toaster })))

interface Props {
  store: AppStore
  client: RealtimeClient
  router: AnyRouter
}

export function App({ store, client, router }: Props) {
  const { theme } = useTheme()
  return (
    <Provider store={store}>
      <LiveProvider value={client}>
        <TipProvider skipDelayDuration={300}>
          <RouterProvider router={router} />
          <Suspense>
            <Toaster theme={theme} position="bottom-right" closeButton />
          </Suspense>
        </TipProvider>
      </LiveProvider>
    </Provider>
  )
}
