import jupyter from '@jupyter/eslint-plugin';
import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['lib/', 'node_modules/', '.yarn/']),
  {
    files: ['src/**/*.{ts,tsx}', 'test/**/*.ts', 'vitest.config.ts'],
    extends: [
      eslint.configs.recommended,
      tseslint.configs.strictTypeChecked,
      tseslint.configs.stylisticTypeChecked
    ],
    languageOptions: {
      parserOptions: {
        project: './tsconfig.test.json',
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      // Jupyter's convention: interfaces are told from classes by their name.
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true }
        }
      ],
      // Jupyter's convention: a class's types live in the namespace of its name.
      '@typescript-eslint/no-namespace': 'off',
      eqeqeq: 'error'
    }
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    plugins: { jupyter },
    extends: [jupyter.configs.recommended]
  },
  prettier
);
