/** How the new version compares with the one that serves, as the server tested it. */
export interface Contest {
  better: boolean;
  not_worse: boolean;
  worse: boolean;
}

/** How a learning ended. */
export interface Outcome {
  outcome: "promoted" | "kept";
  challenger: string | null;
  contest: Contest | null;
  certificate: { certified: boolean } | null;
}

export type Verdict = "first" | "better" | "certified" | "nothingNew" | "worse" | "uncertified" | "unproven";

/** The reason for an outcome as one of a few sentences; the exact words of the server stand beside it. */
export function verdictOf({ outcome, challenger, contest, certificate }: Outcome): Verdict {
  if (outcome === "promoted") {
    if (contest === null) return "first";
    return contest.better ? "better" : "certified";
  }
  if (challenger === null) return "nothingNew";
  if (contest?.worse) return "worse";
  return contest?.better && !certificate?.certified ? "uncertified" : "unproven";
}
