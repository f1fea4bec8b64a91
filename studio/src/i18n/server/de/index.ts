import { messagesOf, pairsOf } from "../../messages";
import type { ServerTexts } from "../../serverTexts";
import german from "./messages";

/** German for what the server says in English: text with numbered gaps ("{1} rows"), and its German. */
const files = import.meta.glob<ServerTexts>("./*.json", { eager: true, import: "default" });
const english = messagesOf(import.meta.glob("../../../../../src/smidgen/*/messages/en.toml", { eager: true, import: "default" }));

export default Object.assign(pairsOf(english, german), ...Object.values(files)) as ServerTexts;
