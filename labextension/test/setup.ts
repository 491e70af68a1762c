// JupyterLab's modules refer to these when they are loaded; jsdom has none of them.
class DragEventStub extends MouseEvent {}

Object.defineProperty(globalThis, 'DragEvent', { value: DragEventStub });
Object.defineProperty(window, 'matchMedia', {
  value: (media: string) =>
    Object.assign(new EventTarget(), { media, matches: false, addListener: () => undefined })
});
globalThis.requestIdleCallback = callback => {
  setTimeout(callback);
  return 0;
};
