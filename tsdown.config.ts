import { defineConfig } from 'tsdown';

export default defineConfig({
  entry: ['src/index.ts', 'src/envelope.ts', 'src/nats.ts', 'src/protocol.ts'],
  format: ['esm', 'cjs'],
  platform: 'node',
  target: 'node20.19',
  dts: true,
  sourcemap: false,
  fixedExtension: false,
  // Without a chunk of its own the module helper of rolldown ends up inside a declaration chunk, whose export of it
  // rolldown-plugin-dts 0.x leaves behind undeclared (TS2304 for `__exportAll` in a .d.cts).
  // The public types have a declaration chunk of their own: beside the wire types they would bring in those of
  // @bufbuild/protobuf, which TypeScript before 5.7 does not read.
  outputOptions: {
    codeSplitting: {
      groups: [
        { name: 'runtime', test: /rolldown[\\/]runtime/ },
        { name: 'public.d', test: /(protocol[\\/](public|ack-policy)|errors[\\/]error-details)\.d\.[mc]?ts/ },
      ],
    },
  },
  // ESM-only packages are bundled, so that CommonJS users (Jest among them) can load ours; nothing else may be.
  deps: { alwaysBundle: ['p-retry', 'is-network-error'], onlyBundle: ['p-retry', 'is-network-error'] },
});
