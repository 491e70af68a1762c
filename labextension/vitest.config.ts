import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'jsdom',
    include: ['test/**/*.spec.ts'],
    setupFiles: ['test/setup.ts'],
    server: {
      deps: {
        // Published as modules that Node cannot load as they are.
        inline: [/@jupyter/, /@jupyterlab/, /@lumino/, /lib0/, /yjs/, /y-protocols/]
      }
    }
  }
});
