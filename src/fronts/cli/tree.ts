/** tree: the Merkle tree of a slot, or a map of all slots, drawn; beside a peer, where it differs. */
import type { NodeId, SlotMap, SlotTree } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, UsageError, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'

const columns = 64
const slotsACell = 16
const levelsShownMax = 4
const listedMax = 32
const shades = [' ', '░', '▒', '▓', '█'] as const

export const treeCommand: Command = {
  name: 'tree',
  arguments: ['[SLOT]'],
  summary: 'Draw the Merkle tree of a slot, or a map of all slots',
  notes: [
    'With --peer it shows where the trees of the two nodes differ. The slot of a key is told by',
    'hearsay explain.'
  ],
  options: [dataOption, { name: 'peer', value: 'ID', text: 'compare with this peer' }, jsonOption],
  run: tree
}

async function tree(call: Call, io: Io): Promise<number> {
  const slot = slotOf(call)
  const peer = call.text('peer')
  const beside = peer === undefined ? {} : { peer: peer as NodeId }
  const text = await withAdmin(call, async admin => {
    if (slot === undefined) {
      const map = await admin.slots(beside)
      return call.flag('json') ? JSON.stringify(map) : mapText(map)
    }
    const shown = await admin.tree(slot, beside)
    return call.flag('json') ? JSON.stringify(shown) : treeText(shown)
  })
  line(io.stdout, text)
  return 0
}

function slotOf(call: Call): number | undefined {
  const [text] = call.arguments
  if (text === undefined) return undefined
  if (/^\d{1,5}$/.test(text) && Number(text) < 16_384) return Number(text)
  throw new UsageError(`there is no slot ${JSON.stringify(text)}; use a number from 0 to 16383.`)
}

/** Every cell stands for some slots next to each other; the darker, the more rows. */
export function mapText({ rows, differing }: SlotMap): string {
  const cells = Array.from({ length: rows.length / slotsACell }, (_, cell) =>
    sum(rows.slice(cell * slotsACell, (cell + 1) * slotsACell))
  )
  const most = Math.max(...cells)
  const differs = new Set(differing?.map(slot => Math.floor(slot / slotsACell)))
  const marks = cells.map((count, cell) => (differs.has(cell) ? '≠' : shadeOf(count, most)))
  const lines: string[] = []
  for (let first = 0; first < marks.length; first += columns) {
    const label = String(first * slotsACell).padStart(5)
    lines.push(`${label} ${marks.slice(first, first + columns).join('')}`)
  }
  const total = `${sum(rows)} rows in ${rows.filter(count => count > 0).length} of ${rows.length} slots`
  return [total, ...lines, ...differingText(differing)].join('\n')
}

function shadeOf(count: number, most: number): string {
  if (count === 0) return shades[0]
  return shades[Math.max(1, Math.ceil((count / most) * (shades.length - 1)))] as string
}

function differingText(differing: readonly number[] | undefined): string[] {
  if (differing === undefined) return []
  if (differing.length === 0) return ['no slot differs']
  const more = differing.length > listedMax ? ` and ${differing.length - listedMax} more` : ''
  return [`${differing.length} differ: ${differing.slice(0, listedMax).join(' ')}${more}`]
}

/** Where there is no peer the upper levels, otherwise every path that differs. */
export function treeText(tree: SlotTree): string {
  const { slot, rows, depth, peer } = tree
  const leaves = `${2 ** depth} ${depth === 0 ? 'leaf' : 'leaves'}`
  const beside = peer === undefined ? '' : `, the peer has ${peer.rows}`
  const head = `slot ${slot}: ${rows} rows${beside}, ${leaves}`
  return [head, ...nodeText(tree, 0, 0, '', '')].join('\n')
}

/** One node and what is below it. `path` says in bits how it is reached. */
function nodeText(
  tree: SlotTree,
  index: number,
  level: number,
  path: string,
  indent: string
): string[] {
  const own = tree.hashes[index] as string
  const their = tree.peer?.hashes[index]
  const same = their === undefined || their === own
  const mark = their === undefined ? own : same ? `${own} =` : `${own} ≠ ${their}`
  const label = `${path === '' ? 'root' : path}  ${mark}`
  const deeper = level < tree.depth && (their === undefined ? level < levelsShownMax : !same)
  if (!deeper) return [label + (level < tree.depth ? `  (${below(tree, level)} below)` : '')]
  const child = (bit: 0 | 1, branch: string, rest: string) => {
    const [first = '', ...others] = nodeText(
      tree,
      2 * index + 1 + bit,
      level + 1,
      `${path}${bit}`,
      indent + rest
    )
    return [`${indent}${branch}${first}`, ...others]
  }
  return [label, ...child(0, '├─ ', '│  '), ...child(1, '└─ ', '   ')]
}

function below({ depth }: SlotTree, level: number): string {
  return `${2 ** (depth - level)} leaves`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
