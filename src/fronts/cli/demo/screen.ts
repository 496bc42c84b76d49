/** What the demo prints: chapters, steps with their mark, details; colours on a terminal only. */
import { line, type Output } from '../io.ts'

const codes = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 } as const

export class Screen {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
  }

  paint(text: string, colour: keyof typeof codes): string {
    return this.#out.isTTY === true ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text
  }

  text(text = ''): void {
    line(this.#out, text)
  }

  chapter(title: string): void {
    line(this.#out)
    line(this.#out, this.paint(title, 'bold'))
  }

  held(title: string, details: readonly string[]): void {
    line(this.#out, `  ${this.paint('✓', 'green')} ${title}`)
    for (const detail of details) line(this.#out, this.paint(`      ${detail}`, 'dim'))
  }

  failed(title: string, why: string): void {
    line(this.#out, `  ${this.paint('✗', 'red')} ${title}`)
    line(this.#out, `      ${why}`)
  }
}

/** The tops of two trees that differ in one row, with the way down to it. */
export function twoTrees(left: Tree, right: Tree): string[] {
  const row = (a: string, between: string, b: string): string =>
    `${a.padEnd(26)}${between.padEnd(5)}${b}`.trimEnd()
  return [
    row(`   ${left.name}`, '', `   ${right.name}`),
    row(`   ${left.root.slice(0, 12)}`, '≠', `   ${right.root.slice(0, 12)}`),
    row('     ╱      ╲', '', '     ╱      ╲'),
    row('   ...      ≠', '', '   ...      ≠'),
    row('          ╱    ╲', '', '          ╱    ╲'),
    row(`        ${left.leaf}   ...`, '≠', `        ${right.leaf}   ...`)
  ]
}

export interface Tree {
  readonly name: string
  /** In hex. */
  readonly root: string
  readonly leaf: string
}

/** The end of a peer id: they all begin alike. */
export function shortId(id: string): string {
  return `…${id.slice(-6)}`
}

export function bytesText(bytes: number): string {
  return bytes < 10_000 ? `${bytes} bytes` : `${(bytes / 1_000).toFixed(0)} kB`
}
