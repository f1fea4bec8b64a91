import { messagesOf } from "../../messages";

/** The German messages of the platform and of its wings. */
export default messagesOf(import.meta.glob("../../../../../src/smidgen/*/messages/de.toml", { eager: true, import: "default" }));
