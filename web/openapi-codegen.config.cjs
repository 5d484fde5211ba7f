/** Generates the typed endpoints from the contract the backend publishes (`npm run codegen`). */
module.exports = {
  schemaFile: '../contracts/openapi.json',
  apiFile: './src/shared/api/base.ts',
  apiImport: 'devTeamApi',
  outputFile: './src/shared/api/generated/endpoints.ts',
  exportName: 'generatedApi',
  hooks: false,
  tag: false,
}
