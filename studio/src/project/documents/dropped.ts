/** A file with its path in what was dropped or chosen. */
export interface DroppedFile {
  name: string;
  file: File;
}

/** The files that somebody chose, one by one or as a folder. */
export function chosenFiles(files: FileList | null): DroppedFile[] {
  return [...(files ?? [])].map((file) => ({ name: inside(file.webkitRelativePath) || file.name, file })).filter((one) => !isHidden(one.name));
}

/** The files that somebody dropped, with those in folders. */
export async function droppedFiles(data: DataTransfer): Promise<DroppedFile[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found = await Promise.all(entries.map((entry) => walk(entry, entry.isDirectory)));
  return found.flat().filter((one) => !isHidden(one.name));
}

async function walk(entry: FileSystemEntry, top: boolean): Promise<DroppedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const held: FileSystemEntry[] = [];
  for (;;) {
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (more.length === 0) break;
    held.push(...more);
  }
  const found = (await Promise.all(held.map((one) => walk(one, false)))).flat();
  return top ? found.map((one) => ({ ...one, name: inside(one.name) })) : found;
}

/** A path without the folder that was chosen itself. */
export function inside(path: string): string {
  return path.slice(path.indexOf("/") + 1);
}

/** Whether a file is what systems leave in folders. */
export function isHidden(name: string): boolean {
  return name.split("/").some((part) => part.startsWith(".") || part.startsWith("~$") || part === "__MACOSX" || part === "Thumbs.db");
}
