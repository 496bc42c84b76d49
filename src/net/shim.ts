/**
 * `Promise.withResolvers` for Node 20, which lacks it and whose absence breaks libp2p 3. Imported
 * before anything of libp2p, by every file of this folder that imports libp2p, and nowhere else.
 */

interface Resolvers<T> {
  promise: Promise<T>
  resolve: (value: T | PromiseLike<T>) => void
  reject: (reason?: unknown) => void
}

function withResolvers<T>(this: PromiseConstructor): Resolvers<T> {
  const out = {} as Resolvers<T>
  out.promise = new this<T>((resolve, reject) => {
    out.resolve = resolve
    out.reject = reject
  })
  return out
}

if (!('withResolvers' in Promise)) {
  Object.defineProperty(Promise, 'withResolvers', {
    value: withResolvers,
    configurable: true,
    writable: true
  })
}
