import { textsOf } from "../textsOf";

export default textsOf(import.meta.glob("./*.json", { eager: true, import: "default" }));
