import { describe, expect, it } from "vitest";

import { partsOf } from "./replacements";

describe("what takes the place of what", () => {
  it("is found between the parts that stay", () => {
    expect(partsOf("write to a@b.org or call 12345", "write to [EMAIL_1] or call [PHONE_1]")).toEqual([
      { before: "write to ", after: null },
      { before: "a@b.org", after: "[EMAIL_1]" },
      { before: " or call ", after: null },
      { before: "12345", after: "[PHONE_1]" },
    ]);
    expect(partsOf("a@b.org please", "[EMAIL_1] please")?.[0]).toEqual({ before: "a@b.org", after: "[EMAIL_1]" });
    expect(partsOf("nothing", "nothing")).toEqual([{ before: "nothing", after: null }]);
  });
  it("keeps every letter of both texts", () => {
    const before = "Anna, Anna. 5 of 5: anna@x.org, x";
    const after = "[PERSON_1], [PERSON_1]. 5 of 5: [EMAIL_1], x";
    const parts = partsOf(before, after) ?? [];
    expect(parts.map((part) => part.before).join("")).toBe(before);
    expect(parts.map((part) => part.after ?? part.before).join("")).toBe(after);
  });
  it("is not told where the texts do not fit", () => {
    expect(partsOf("one text", "another [EMAIL_1]")).toBeNull();
    expect(partsOf("longer text", "text")).toBeNull();
  });
});
