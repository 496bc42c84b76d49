/** The version of this package, as `--version`, `INFO` and `/metrics` show it. */
import { readFileSync } from 'node:fs'

let known: string | undefined

/** Reads package.json once, at the first call; the path is the same from src/ and from dist/. */
export function version(): string {
  known ??= readVersion()
  return known
}

function readVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
