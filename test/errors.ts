import t from 'tap'
import { QuorumFailedError, TimeoutError, UnavailableError } from '../src/errors.ts'
import type { NodeId } from '../src/util/node-id.ts'

const a = 'a' as NodeId

t.test('an unavailable request advises what can help', async t => {
  const table: [needed: number, alive: number, owners: number, says: RegExp][] = [
    [
      2,
      1,
      3,
      /needs 2 replicas and 1 is alive; nothing was sent. Start .* or use a lower level\.$/
    ],
    [1, 0, 3, /needs 1 replica and 0 are alive; nothing was sent. Start the missing nodes\.$/],
    [4, 3, 3, /needs 4 replicas and this key has 3 owners; nothing was sent. Use a lower level\.$/],
    [2, 1, 1, /this key has 1 owner; nothing was sent. Use a lower level\.$/],
    [1, 0, 0, /has 0 owners; .* Try again when a node has become a member\.$/]
  ]
  for (const [needed, alive, owners, says] of table) {
    const error = new UnavailableError('write', 'x', needed, alive, owners)
    t.match(error, { code: 'ERR_UNAVAILABLE', message: says, needed, alive, owners })
  }
})

t.test('what may have been done is told apart from what was not', async t => {
  t.match(
    new TimeoutError('write', 2, [a], 50).message,
    /1 of 2 .* outcome is unknown: read the key/
  )
  t.notMatch(new TimeoutError('read', 2, [a], 50).message, /unknown/)
  const failures = new Map([['b' as NodeId, new Error('full')]])
  t.match(
    new QuorumFailedError('write', 2, [a], failures).message,
    /b: full.*stays and will spread/
  )
  t.notMatch(new QuorumFailedError('read', 2, [a], failures).message, /stored/)
})
