/**
 * What an owner has lost is asked of members that own nothing of it any more: at n = 1 they are the only
 * ones that may still have a write that they acknowledged before the owner of now joined.
 */
import t from 'tap'
import { SLOTS } from '../src/digest/limits.ts'
import type { Handler } from '../src/ports.ts'
import { Leftovers, type LeftoversComponents } from '../src/repair/leftovers.ts'
import { Recovery, type RecoveryComponents } from '../src/repair/recovery.ts'
import { Filling } from '../src/replica/filling.ts'
import { serveReplica } from '../src/replica/serve.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import { pack } from '../src/util/msgpack.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { decodeApply, encodeApply, encodeRefusals } from '../src/wire/rows.ts'
import { decodeSlots, encodeSlots } from '../src/wire/slots.ts'
import {
  backUp,
  createWorld,
  cut,
  keyWhere,
  mend,
  runUntil,
  storedAt
} from './fixtures/engine-world.ts'
import { openReplica, WatchedStore } from './fixtures/engine-parts.ts'
import { ownership, readKeyed, rowsOf } from './fixtures/sim/inspect.ts'
import type { World } from './fixtures/sim/world.ts'

const asked = (world: World) => world.fabric.delivered.get('request:recover') ?? 0
const isUp = (world: World, host: number) => {
  const { node } = world.host(host)
  return node !== undefined && node.status().state === 'up'
}
const filling = (world: World, host: number) => world.node(host).status().fillingSlots

async function read(world: World, host: number, key: string): Promise<string | undefined> {
  const value = await world.until(world.node(host).get(key))
  return value && text(value as Uint8Array)
}

/** One copy of everything: n3 has joined and owns a key that `holder` acknowledged before. */
async function handedOver() {
  const world = await createWorld({ nodes: 4, n: 1 })
  await world.form(world.hosts.slice(0, 3))
  const key = keyWhere(world, 1, ([owner]) => owner === 3)
  await world.until(world.node(0).put(key, 'v'))
  const holder = [0, 1, 2].find(host => storedAt(world, host, key) !== undefined) as number
  const early = backUp(world.host(3).disk)
  world.start(3)
  await runUntil(world, () => isUp(world, 3) && storedAt(world, 3, key) !== undefined)
  // Until it is done with what it has left: nothing more would come of itself.
  const done = () => world.node(holder).status().counters['leftovers.slots'] ?? 0
  await runUntil(world, () => done() > 0)
  return { world, key, holder, early }
}

function wipe(world: World, host: number): void {
  world.crash(host)
  world.wipe(host)
}

t.test('an owner that lost its disk', async t => {
  t.test('has what a member held before it, and never says that it is not there', async t => {
    const { world, key, holder } = await handedOver()
    wipe(world, 3)
    world.start(3)
    const other = holder === 0 ? 1 : 0
    const answers = new Set<unknown>()
    await runUntil(world, () => {
      const note = (value: unknown) => answers.add(value && text(value as Uint8Array))
      world
        .node(other)
        .get(key, { timeoutMs: 100 })
        .then(note, () => {})
      return isUp(world, 3) && filling(world, 3) === 0
    })
    await world.run(1_000)
    t.same([...answers], ['v'])
    t.equal(storedAt(world, 3, key), storedAt(world, holder, key))
    t.ok(asked(world) >= 3)
    const before = asked(world)
    await world.run(60_000)
    t.equal(asked(world), before, 'nobody is asked for more when all were asked')
    t.same(world.fabric.bugs, [])
  })

  t.test('has it also of a member that was away then, and after a restart', async t => {
    for (const restarts of [false, true]) {
      const { world, key, holder } = await handedOver()
      world.crash(holder)
      await world.run(10_000)
      wipe(world, 3)
      world.start(3)
      await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
      t.equal(storedAt(world, 3, key), undefined)
      if (restarts) {
        world.crash(3)
        world.start(3)
        await runUntil(world, () => isUp(world, 3))
      }
      world.start(holder)
      await runUntil(world, () => storedAt(world, 3, key) !== undefined)
      t.equal(await read(world, (holder + 1) % 3, key), 'v', restarts ? 'restarted' : 'running')
    }
  })

  t.test('has it of a member that it could not reach, once it can', async t => {
    const { world, key, holder } = await handedOver()
    for (const host of [0, 1, 2, 3]) if (host !== holder) cut(world, holder, host)
    await world.run(20_000)
    wipe(world, 3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
    for (const host of [0, 1, 2, 3]) if (host !== holder) mend(world, holder, host)
    await runUntil(world, () => storedAt(world, 3, key) !== undefined)
    t.equal(await read(world, holder, key), 'v')
  })

  t.test('has it of a member whose own exchanges are paused', async t => {
    const { world, key, holder } = await handedOver()
    await world.until(world.node(holder).pause('anti-entropy'))
    wipe(world, 3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
    t.equal(await read(world, holder, key), 'v')
  })
})

/** The bit of a row of that key on the disk of a host. */
function flip(world: World, host: number, key: string): void {
  const pairs = world.host(host).disk.pairs('rows')
  const at = pairs.findIndex(([id, value]) => readKeyed(id, value)?.key === key)
  world.flip(host, (at + 0.5) / pairs.length, 0.9)
}

/**
 * Has n2 alone hold a key, of three nodes, that n3 owns in its place: its directory, in which it is, was
 * exchanged for an older one while n3 joined.
 */
async function strand(world: World, key: string): Promise<void> {
  const before = backUp(world.host(2).disk)
  for (const host of [0, 1]) cut(world, 2, host)
  await world.until(world.node(2).put(key, 'v', { level: 'one' }))
  await world.until(world.node(2).dropHints())
  world.crash(2)
  const since = world.host(2).disk
  world.replaceDisk(2, before)
  for (const host of [0, 1]) mend(world, 2, host)
  world.start(2)
  await runUntil(world, () => isUp(world, 2) && filling(world, 2) === 0)
  world.start(3)
  await runUntil(world, () => isUp(world, 3))
  world.crash(2)
  world.replaceDisk(2, since)
  world.start(2)
  await runUntil(world, () => isUp(world, 2))
}

t.test('what is given by one that owns the slot no more', async t => {
  t.test('makes up for a damaged row where it is the very same', async t => {
    const { world, key } = await handedOver()
    const before = storedAt(world, 3, key)
    flip(world, 3, key)
    await t.rejects(world.until(world.node(0).get(key)), { code: 'ERR_QUORUM' })
    await runUntil(world, () => filling(world, 3) === 0 && storedAt(world, 3, key) === before)
    t.equal(await read(world, 0, key), 'v')
    t.equal(world.host(3).disk.pairs('quarantine').length, 0)
  })

  t.test('does not make up for a damaged row, whose later versions it never had', async t => {
    for (const deletes of [false, true]) {
      const { world, key } = await handedOver()
      const node = world.node(0)
      if (deletes) await world.until(node.delete(key))
      else await world.until(node.put(key, 'v2'))
      flip(world, 3, key)
      const codes: unknown[] = []
      for (let i = 0; i < 5; i++) {
        const answer = world.node(0).get(key, { timeoutMs: 1_000 })
        codes.push(await world.until(answer.catch(({ code }: { code: unknown }) => code)))
        await world.run(2_000)
      }
      t.equal(codes[0], 'ERR_QUORUM', 'it is being filled')
      t.equal(codes.at(-1), 'ERR_CORRUPT', 'and then nobody has it')
      t.ok(codes.every(code => code === 'ERR_QUORUM' || code === 'ERR_CORRUPT'))
      t.equal(world.host(3).disk.pairs('quarantine').length, 1)
    }
  })

  t.test('is all that is sent: nobody is given rows of slots that are not its own', async t => {
    const { world, key, holder } = await handedOver()
    for (let i = 0; i < 50; i++) await world.until(world.node(0).put(`{${key}}${i}`, 'x'))
    await world.until(world.node(0).put(key, 'later'))
    const before = rowsOf(world.host(holder).disk)
    world.crash(3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3))
    const backup = backUp(world.host(3).disk)
    await world.until(world.node(0).put(key, 'last'))
    world.crash(3)
    world.replaceDisk(3, backup)
    world.start(3)
    await runUntil(world, () => asked(world) >= 3 && filling(world, 3) === 0)
    t.same(rowsOf(world.host(holder).disk), before)
  })

  t.test('holds nobody up where it is from too far ahead: it waits at the owner', async t => {
    const clocks = [0, 0, 600_000, 0].map(offsetMs => ({ offsetMs, driftPpm: 0 }))
    const world = await createWorld({ nodes: 4, n: 3, clocks })
    await world.form(world.hosts.slice(0, 3))
    const key = keyWhere(world, 3, owners => !owners.includes(2))
    await strand(world, key)
    wipe(world, 0)
    world.start(0)
    await runUntil(world, () => isUp(world, 0) && filling(world, 0) === 0)
    t.notOk(storedAt(world, 0, key))
    t.ok(world.host(0).disk.pairs('quarantine').length >= 1, 'it is kept aside')
  })

  t.test('is not asked for again at every start because another member is dead', async t => {
    const { world, holder } = await handedOver()
    const [dead] = [0, 1, 2].filter(host => host !== holder) as [number]
    world.crash(dead)
    await world.run(10_000)
    wipe(world, 3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
    const before = asked(world)
    for (let i = 0; i < 2; i++) {
      await world.stop(3)
      world.start(3)
      await runUntil(world, () => isUp(world, 3))
      await world.run(5_000)
    }
    t.equal(asked(world), before)
    world.start(dead)
    await runUntil(world, () => asked(world) > before, 60_000)
  })

  t.test('to one that is only joining is given again to the owners of now', async t => {
    const world = await createWorld({ nodes: 5, n: 3 })
    await world.form(world.hosts.slice(0, 3))
    const four = ownership(4, 3)
    const key = keyWhere(
      world,
      3,
      (owners, key) => owners.includes(4) && !owners.includes(2) && !four(key).includes(2)
    )
    await world.until(world.node(2).pause('anti-entropy'))
    await strand(world, key)
    const state = () => {
      const { members } = world.node(0).status()
      return members.find(({ id }) => id === 'n4')?.state
    }
    world.start(4)
    await runUntil(world, () => state() === 'joining', 60_000, 1)
    wipe(world, 4)
    await world.run(20_000)
    world.start(4)
    await runUntil(world, () => storedAt(world, 4, key) !== undefined, 60_000, 1)
    world.crash(4)
    t.equal(state(), 'joining')
    await world.until(world.node(2).resume('anti-entropy'))
    const holds = (host: number) => storedAt(world, host, key) !== undefined
    await runUntil(world, () => four(key).every(holds))
  })
})

t.test('an owner whose directory was put back to before it joined has it too', async t => {
  const { world, key, early } = await handedOver()
  world.crash(3)
  world.replaceDisk(3, early)
  world.start(3)
  await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
  t.equal(await read(world, 0, key), 'v')
})

t.test('who has lost nothing asks nobody', async t => {
  const { world } = await handedOver()
  t.equal(asked(world), 0, 'not by joining')
  world.crash(3)
  world.start(3)
  await runUntil(world, () => isUp(world, 3))
  await world.run(10_000)
  t.equal(asked(world), 0, 'nor after kill -9')
})

t.test('what is lost', async t => {
  t.test('is filling at once, and lost until every member was asked', async t => {
    const disk = new MemoryDisk()
    const store = new WatchedStore({ disk })
    const filling = new Filling(store)
    await filling.begin([1])
    await filling.lose([2, SLOTS - 1])
    t.same([...filling.lost], [2, SLOTS - 1])
    t.ok(filling.has(1) && filling.has(2))
    await filling.end([1, 2, SLOTS - 1])
    const again = new Filling(new WatchedStore({ disk }))
    t.same([...again.lost], [2, SLOTS - 1], 'also once it counts again')
    t.equal(again.size, 0)
    const { losses } = filling
    await filling.lose([5])
    await filling.recovered(losses)
    t.equal(filling.lost.size, 3, 'nobody was asked for what was lost since')
    await filling.end([5])
    await filling.recovered(filling.losses)
    t.equal(filling.lost.size, 0)
    t.equal(store.get('meta', utf8('filling')), undefined)
  })

  t.test('remembers who was asked for it, until more is lost or slots change hands', async t => {
    const disk = new MemoryDisk()
    const open = () => new Filling(new WatchedStore({ disk }))
    const [a, b] = ['a', 'b'] as NodeId[] as [NodeId, NodeId]
    const filling = open()
    await filling.lose([2])
    await filling.noteAsked(a, filling.losses)
    t.same([...open().asked], ['a'])
    const { losses } = filling
    await filling.lose([3])
    t.same([...open().asked], [])
    await filling.noteAsked(b, losses)
    t.same([...filling.asked], [], 'it was asked for less')
    await filling.noteAsked(b, filling.losses)
    await filling.askAgain()
    t.same([...open().asked], [])
  })

  t.test('is kept with the next change where the disk refused it', async t => {
    const disk = new MemoryDisk()
    const store = new WatchedStore({ disk })
    const filling = new Filling(store)
    store.refuses = () => true
    await t.rejects(filling.lose([2]), { code: 'ERR_STORE' })
    store.refuses = () => false
    await filling.end([])
    t.same([...new Filling(new WatchedStore({ disk })).lost], [2])
  })

  t.test('travels, and what is no set of slots is refused', async t => {
    t.same(decodeSlots(encodeSlots([7, 3, SLOTS - 1])), [3, 7, SLOTS - 1])
    t.same(decodeSlots(encodeSlots([])), [])
    for (const bytes of [utf8('gibberish'), new Uint8Array(), pack([true]), pack([utf8('few')])]) {
      t.equal(decodeSlots(bytes), undefined)
    }
  })
})

t.test('an answer from before slots changed hands counts for nothing', async t => {
  const filling = new Filling(new WatchedStore({ disk: new MemoryDisk() }))
  let answer: (bytes: Uint8Array) => void = () => {}
  const nothing = () => {}
  const recovery = new Recovery({
    replica: { filling },
    membership: {
      peers: ['g' as NodeId, 'dead' as NodeId],
      serve: nothing,
      ask: () => new Promise(resolve => (answer = resolve))
    },
    liveness: { isAlive: (id: NodeId) => id === 'g' },
    leftovers: {},
    meter: { count: nothing },
    log: { info: nothing, debug: nothing, warn: nothing }
  } as unknown as RecoveryComponents)
  await filling.lose([7])
  const turn = recovery.turn()
  // Slots change hands while the answer is on its way: g owned slot 7 when it was asked.
  await recovery.askAgain()
  answer(encodeSlots([]))
  await turn
  t.same([...filling.asked], [], 'who owned it when it was asked is asked again')
  t.same([...recovery.waiting], [7])
})

t.test('what is handed over', async t => {
  const OWN = 3
  const [a, b, c] = ['a', 'b', 'c'] as NodeId[] as [NodeId, NodeId, NodeId]
  /** Node a has rows in slots 7 and 8, which b and c own. */
  function createLeftovers() {
    const store = new WatchedStore({ disk: new MemoryDisk() })
    const did: string[] = []
    const stage = {
      withheld: new Map<NodeId, number[]>(),
      flush: async () => encodeRefusals([]),
      view: (() => {}) as (view: unknown) => void,
      now: 0
    }
    const flags = (...slots: number[]) =>
      Uint8Array.from({ length: SLOTS }, (_, slot) => +slots.includes(slot))
    const placement = { owned: (id: NodeId) => (id === a ? flags(OWN) : flags(7, 8, 9)) }
    const count = () => {}
    const leftovers = new Leftovers({
      store,
      replica: {
        forest: { rows: (slot: number) => +(slot === 7 || slot === 8) },
        keeper: { sound: (slots: Uint16Array) => slots }
      },
      membership: {
        id: a,
        peers: [b, c],
        onView: (listener: (view: unknown) => void) => (stage.view = listener),
        view: { current: placement, next: placement, all: placement },
        ask: async (peer: NodeId, protocol: string, body: Uint8Array) => {
          t.same(decodeApply(body), { flush: true, items: [] })
          did.push(`${protocol} ${peer}`)
          return stage.flush()
        }
      },
      liveness: { isAlive: () => true },
      antiEntropy: {
        handOver: async (peer: NodeId, slots: Uint16Array) => {
          did.push(`${peer} ${slots.join(' ')}`)
          return { complete: true, withheld: new Set(stage.withheld.get(peer)), rowsSent: 1 }
        }
      },
      clock: { monoMs: () => stage.now },
      meter: { count },
      log: { info: count, debug: count, warn: count }
    } as unknown as LeftoversComponents)
    const turn = async () => {
      did.length = 0
      await leftovers.turn(new AbortController().signal)
      return did.splice(0)
    }
    const saved = () => {
      const given = store.get('meta', utf8('handed-over'))
      return [...(given ?? [])].flatMap((flag, slot) => (flag === 0 ? [] : [slot]))
    }
    return { leftovers, stage, turn, saved }
  }

  t.test('is done with once the peer has flushed it', async t => {
    const { stage, turn, saved } = createLeftovers()
    stage.flush = async () => {
      t.same(saved(), [])
      throw new Error('the disk is full')
    }
    t.same(await turn(), ['b 7 8', 'apply b', 'c 7 8', 'apply c'])
    t.same(saved(), [])
    stage.flush = async () => encodeRefusals([])
    t.same(await turn(), ['b 7 8', 'apply b'])
    t.same(saved(), [7, 8])
    t.same(await turn(), [])
  })

  t.test('and may not be taken by one owner is offered to the others', async t => {
    const { stage, turn, saved } = createLeftovers()
    stage.withheld.set(b, [8])
    t.same(await turn(), ['b 7 8', 'apply b', 'c 8', 'apply c'])
    t.same(saved(), [7, 8])
  })

  t.test('and may be taken by nobody is offered again after a while', async t => {
    const { stage, turn, saved } = createLeftovers()
    for (const peer of [b, c]) stage.withheld.set(peer, [8])
    t.same(await turn(), ['b 7 8', 'apply b', 'c 8'])
    t.same(await turn(), [])
    stage.now += 60_000
    t.same(await turn(), ['b 8', 'c 8'])
    t.same(saved(), [7])
  })

  t.test('is not done with when something comes in while it is under way', async t => {
    const { leftovers, stage, turn, saved } = createLeftovers()
    stage.flush = async () => {
      await leftovers.reopen([8])
      return encodeRefusals([])
    }
    t.same(await turn(), ['b 7 8', 'apply b', 'c 7 8', 'apply c'])
    t.same(saved(), [])
    stage.flush = async () => encodeRefusals([])
    await turn()
    t.same(saved(), [7, 8])
  })

  t.test('and is owned again for a moment is not done with any more', async t => {
    const { stage, turn } = createLeftovers()
    await turn()
    const flags = new Uint8Array(SLOTS)
    flags[7] = 1
    stage.view({ all: { owned: () => flags } })
    t.same(await turn(), ['b 7', 'apply b'])
  })

  t.test('is so again when something has come into its slot', async t => {
    const { leftovers, turn, saved } = createLeftovers()
    await turn()
    await leftovers.reopen([OWN, 8])
    t.same(saved(), [7])
    t.same(await turn(), ['b 8', 'apply b'])
    t.same(saved(), [7, 8])
  })
})

t.test('a flush without changes outlives the loss of power, with all before it', async t => {
  const { replica, store } = await openReplica()
  const served = new Map<string, Handler>()
  serveReplica(replica, (protocol, handler) => served.set(protocol, handler))
  const ask = (flush: boolean) =>
    served.get('apply')?.(
      'peer' as NodeId,
      encodeApply({ flush, items: [] }),
      new AbortController().signal
    )
  const before = store.commits.length
  await ask(false)
  t.equal(store.commits.length, before)
  await ask(true)
  t.same(
    store.commits.slice(before).map(({ durability }) => durability),
    ['flush']
  )
})
