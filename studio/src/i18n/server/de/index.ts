/** German for what the server says: English text with numbered gaps ("{1} rows"), and its German. */
const files = import.meta.glob<Readonly<Record<string, string>>>("./*.json", { eager: true, import: "default" });

export default Object.assign({}, ...Object.values(files)) as Readonly<Record<string, string>>;
