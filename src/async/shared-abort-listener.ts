/** One listener on a signal, shared by all callbacks that wait for it. */
interface SharedListener {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const shared = new WeakMap<AbortSignal, SharedListener>();

/**
 * Calls back when the signal aborts, and returns the function that cancels this. A signal has one listener of this package,
 * however many callbacks there are: Node warns of a leak when an AbortSignal has more than ten listeners.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const entry = shared.get(signal) ?? listen(signal);
  // Each caller has its own function: the same callback may be given twice.
  const call = (): void => callback();
  entry.callbacks.add(call);
  return () => {
    if (entry.callbacks.delete(call) && entry.callbacks.size === 0) stopListening(signal, entry);
  };
}

function listen(signal: AbortSignal): SharedListener {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    shared.delete(signal);
    for (const callback of [...callbacks]) callback();
    callbacks.clear();
  };
  const entry = { callbacks, listener };
  signal.addEventListener('abort', listener, { once: true });
  shared.set(signal, entry);
  return entry;
}

function stopListening(signal: AbortSignal, entry: SharedListener): void {
  signal.removeEventListener('abort', entry.listener);
  if (shared.get(signal) === entry) shared.delete(signal);
}
