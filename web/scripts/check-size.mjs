// The first page must stay light: what index.html loads, compressed, against its budget.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const BUDGET_KB = 200
const app = join(dirname(fileURLToPath(import.meta.url)), '../../devteam/web_app')
const page = readFileSync(join(app, 'index.html'), 'utf8')
const scripts = new Set([...page.matchAll(/assets\/[^"]+\.js/g)].map(([path]) => path))
const bytes = [...scripts].reduce(
  (sum, path) => sum + gzipSync(readFileSync(join(app, path)), { level: 9 }).length,
  0,
)
const kb = bytes / 1000

console.log(`First page: ${kb.toFixed(1)} kB of JavaScript (gzip), budget ${BUDGET_KB} kB`)
process.exit(kb <= BUDGET_KB ? 0 : 1)
