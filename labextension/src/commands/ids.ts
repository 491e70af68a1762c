/** The commands of the panel. Those without a place in the palette want to know which environment or container. */
export namespace CommandIDs {
  export const open = 'tfcontainer:open';
  export const addEnvironment = 'tfcontainer:add-environment';
  export const importEnvironment = 'tfcontainer:import-environment';

  export const newNotebook = 'tfcontainer:new-notebook';
  export const newConsole = 'tfcontainer:new-console';
  export const startAhead = 'tfcontainer:start-ahead';
  export const startWithoutPackages = 'tfcontainer:start-without-packages';
  export const editEnvironment = 'tfcontainer:edit-environment';
  export const copyEnvironment = 'tfcontainer:copy-environment';
  export const exportEnvironment = 'tfcontainer:export-environment';
  export const hideEnvironment = 'tfcontainer:hide-environment';
  export const showEnvironment = 'tfcontainer:show-environment';
  export const useInstead = 'tfcontainer:use-instead';
  export const deleteEnvironment = 'tfcontainer:delete-environment';

  export const pull = 'tfcontainer:pull';
  export const pullImage = 'tfcontainer:pull-image';
  export const pullAgain = 'tfcontainer:pull-again';
  export const addOfImage = 'tfcontainer:add-environment-of-image';
  export const removeImage = 'tfcontainer:remove-image';
  export const cancelOperation = 'tfcontainer:cancel-operation';
  export const forgetOperation = 'tfcontainer:forget-operation';

  export const openNotebook = 'tfcontainer:open-notebook';
  export const interrupt = 'tfcontainer:interrupt';
  export const restart = 'tfcontainer:restart';
  export const restartFresh = 'tfcontainer:restart-fresh';
  export const stop = 'tfcontainer:stop';
  export const showLog = 'tfcontainer:show-log';
  export const showOutput = 'tfcontainer:show-output';
  export const openTerminal = 'tfcontainer:open-terminal';
  export const openRootTerminal = 'tfcontainer:open-root-terminal';
  export const saveAsImage = 'tfcontainer:save-as-image';
  export const copyId = 'tfcontainer:copy-id';
}

/** The commands that make images, and read and write them. */
export namespace ImageCommandIDs {
  export const build = 'tfcontainer:build-image';
  export const buildOn = 'tfcontainer:build-on-image';
  export const prepare = 'tfcontainer:prepare-image';
  export const load = 'tfcontainer:load-images';
  export const save = 'tfcontainer:save-image';
  export const showLog = 'tfcontainer:show-operation-log';
}

/** The commands on what takes room on the disk. */
export namespace DiskCommandIDs {
  export const measure = 'tfcontainer:measure-disk';
  export const resetHome = 'tfcontainer:reset-home';
  export const clearFolders = 'tfcontainer:clear-folders';
}

/** The commands on ports of a container; without one, that of the notebook in front is meant. */
export namespace PortCommandIDs {
  export const tensorBoard = 'tfcontainer:tensorboard';
  export const ports = 'tfcontainer:ports';
  /** What is behind both, and what a reloaded page does. */
  export const openTab = 'tfcontainer:open-port';
}
