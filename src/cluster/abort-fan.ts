interface Fan {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const fans = new WeakMap<AbortSignal, Fan>();

/**
 * Calls back when the signal aborts; answers the way to take that back. However many wait for one signal, it has one
 * listener of ours: Node warns of a leak when an AbortSignal has more than ten.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const fan = fans.get(signal) ?? open(signal);
  // A callback of its own for each caller: the same function may be given twice.
  const entry = (): void => callback();
  fan.callbacks.add(entry);
  return () => {
    if (fan.callbacks.delete(entry) && fan.callbacks.size === 0) close(signal, fan);
  };
}

function open(signal: AbortSignal): Fan {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    fans.delete(signal);
    for (const callback of [...callbacks]) callback();
    callbacks.clear();
  };
  const fan = { callbacks, listener };
  signal.addEventListener('abort', listener, { once: true });
  fans.set(signal, fan);
  return fan;
}

function close(signal: AbortSignal, fan: Fan): void {
  signal.removeEventListener('abort', fan.listener);
  if (fans.get(signal) === fan) fans.delete(signal);
}
