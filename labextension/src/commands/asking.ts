import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';

/**
 * Ask whether something may be done that cannot be undone.
 *
 * @param title The question.
 * @param body What would be lost.
 * @param label Of the button that says yes.
 */
export async function confirm(title: string, body: string, label: string): Promise<boolean> {
  const { button } = await showDialog({
    title,
    body,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label })]
  });
  return button.accept;
}

/**
 * Do something, and say so if it fails.
 *
 * @param failure What could not be done.
 * @param work Does it.
 */
export async function attempt(failure: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    await showErrorMessage(failure, error as Error);
  }
}
