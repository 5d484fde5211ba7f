/** Generates types, endpoints and hooks from the contract that the backend publishes (`npm run codegen`). */
const { mkdirSync } = require('node:fs')
const { join } = require('node:path')

mkdirSync(join(__dirname, 'src/shared/api/generated'), { recursive: true })

module.exports = {
  schemaFile: '../contracts/openapi.json',
  apiFile: './src/shared/api/base.ts',
  apiImport: 'devTeamApi',
  outputFile: './src/shared/api/generated/endpoints.ts',
  exportName: 'generatedApi',
  hooks: { queries: true, lazyQueries: true, mutations: true },
  tag: false,
}
