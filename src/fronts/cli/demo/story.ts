/**
 * The story, as steps that are each done and checked on three real processes through the same admin
 * calls that an operator has. A step returns the details to show, or throws `StepFailed`.
 */
import { heal, loseHints, missedCount, missWrites, replay } from './absence.ts'
import { diverge, exchange, fill, rowCount } from './merkle.ts'
import {
  cute,
  meet,
  readBoth,
  returnStale,
  stopThird,
  ugly,
  writeCute,
  writeUgly
} from './read-repair.ts'
import type { Step } from './scene.ts'

export const story: readonly Step[] = [
  {
    chapter: 'Three nodes hear of each other',
    title: 'three processes meet over libp2p and see each other alive',
    run: meet
  },
  { title: `Jordan = "${ugly}" is on all three, in one version`, run: writeUgly },
  {
    chapter: 'A node misses the news, and a read repairs it',
    title: 'hints and anti-entropy are paused on all nodes; node 3 stops',
    run: stopThird
  },
  { title: `Jordan = "${cute}" reaches the two that are left`, run: writeCute },
  { title: `node 3 comes back and still says "${ugly}"`, run: returnStale },
  { title: 'a read over two nodes sees both versions, answers the higher, repairs', run: readBoth },
  {
    chapter: 'Two trees differ in one row of thousands',
    title: `${rowCount.toLocaleString('en')} rows are on all three, and the roots are equal`,
    run: fill
  },
  { title: 'B = 9 on node 1, B = 6 on node 3: the roots differ', run: diverge },
  { title: 'the exchange walks down and finds exactly row B', run: exchange },
  {
    chapter: 'Hints bring a node up to date',
    title: `node 3 is down during ${missedCount} writes; a hint is kept for each`,
    run: missWrites
  },
  { title: 'node 3 returns, hints go on, and it catches up by them alone', run: replay },
  {
    chapter: 'Anti-entropy does it without hints',
    title: `node 3 is killed (-9) during ${missedCount} writes, and the hints are dropped`,
    run: loseHints
  },
  { title: 'node 3 returns, anti-entropy goes on, and finds what is missing', run: heal }
]
