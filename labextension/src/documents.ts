/**
 * A name for a kernelspec, from the one that a person gave it.
 *
 * @param displayName As it is to be in the launcher.
 * @param taken Those that there are.
 */
export function copyName(displayName: string, taken: ReadonlySet<string>): string {
  const name =
    displayName
      .toLowerCase()
      .replace(/[^a-z0-9._]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 90) || 'environment';
  let free = name;
  for (let number = 2; taken.has(free); number += 1) {
    free = `${name}-${String(number)}`;
  }
  return free;
}

/** Have the browser save a text. */
export function download(name: string, text: string, type = 'application/json'): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Have a person pick a file, and read it; null if none was picked. */
export function upload(accept: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = accept;
    input.addEventListener('change', () => {
      const file = input.files?.[0];
      if (file) {
        file.text().then(resolve, reject);
      } else {
        resolve(null);
      }
    });
    input.addEventListener('cancel', () => {
      resolve(null);
    });
    input.click();
  });
}
