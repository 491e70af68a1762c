export interface IEngine {
  state: 'ready';
  kind: 'docker' | 'podman';
  version: string;
  host: string;
  rootless: boolean;
  operating_system: string;
  architecture: string;
  cpus: number;
  memory: number;
}

/** Why there is no engine. */
export interface IMissingEngine {
  state: 'missing';
  message: string;
}

export type Engine = IEngine | IMissingEngine;
