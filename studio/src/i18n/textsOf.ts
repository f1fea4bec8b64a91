export type Texts = { readonly [name: string]: string | Texts };

/** The texts of a language: one file for each part of the screens, by the file's name. */
export function textsOf(files: Record<string, unknown>): Texts {
  return Object.fromEntries(Object.entries(files).map(([path, texts]) => [path.replace(/^.*\/|\.json$/g, ""), texts as Texts]));
}
