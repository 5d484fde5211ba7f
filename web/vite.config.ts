import { fileURLToPath, URL } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const engine = process.env.DEVTEAM_URL ?? 'http://127.0.0.1:8321'

export default defineConfig({
  base: '/',
  plugins: [react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: engine },
      '/ws': { target: engine, ws: true },
    },
  },
  build: { target: 'es2023', sourcemap: false, chunkSizeWarningLimit: 700 },
  test: {
    testTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: { name: 'rules', environment: 'node', include: ['src/**/*.test.ts'], isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'screens',
          environment: 'jsdom',
          environmentOptions: { jsdom: { url: 'http://devteam.test/' } },
          setupFiles: ['./src/testing/setup.ts'],
          include: ['src/**/*.test.tsx'],
        },
      },
    ],
  },
})
