import { describe, expect, it } from "vitest";

import { inside, isHidden } from "./dropped";

describe("files that are dropped", () => {
  it("are named without the folder that was chosen", () => {
    expect(inside("site/faq/a.md")).toBe("faq/a.md");
    expect(inside("a.md")).toBe("a.md");
  });

  it("are left out where a system put them there", () => {
    expect(["a/.git/x", ".DS_Store", "__MACOSX/a", "~$x.docx"].map(isHidden)).toEqual([true, true, true, true]);
    expect(["a.md", "a.b/c"].map(isHidden)).toEqual([false, false]);
  });
});
