import type { Project } from "../api/queries";
import type { IconName } from "../ui/icons";

/** A page of a project. `rows`: for projects of rows only; `files`: for projects of files only; `kind`: for those that have files of this kind. */
export interface ProjectPage {
  page: string;
  icon: IconName;
  within?: readonly string[];
  rows?: boolean;
  files?: boolean;
  kind?: Project["kinds"][number];
  /** For projects whose model talks with customers. */
  converses?: boolean;
}

/** All pages, in the order in which one goes through them: first what a model learns from, then the model, then its work. */
const PAGES: readonly ProjectPage[] = [
  { page: "data", icon: "data", within: ["label"], rows: true },
  { page: "documents", icon: "doc", kind: "documents" },
  { page: "repository", icon: "branch", kind: "repository" },
  { page: "intents", icon: "label", kind: "intents" },
  { page: "tools", icon: "bolt", kind: "tools" },
  { page: "policy", icon: "shield", kind: "policy" },
  { page: "tests", icon: "check", kind: "conversations" },
  { page: "files", icon: "data", files: true },
  { page: "build", icon: "build" },
  { page: "report", icon: "report" },
  { page: "try", icon: "chat" },
  { page: "run", icon: "run" },
  { page: "channels", icon: "branch", converses: true },
  { page: "conversations", icon: "people", converses: true },
  { page: "learn", icon: "learn", rows: true },
  { page: "costs", icon: "cost", rows: true },
  { page: "canvas", icon: "canvas", rows: true },
];

/** The pages that make sense for a project. */
export function pagesOf(project: Pick<Project, "kinds" | "converses">): readonly ProjectPage[] {
  const ofRows = project.kinds.length === 0;
  return PAGES.filter(
    ({ rows, files, kind, converses }) => (!rows || ofRows) && (!files || !ofRows) && (!kind || project.kinds.includes(kind)) && (!converses || project.converses),
  );
}

/** The page on which a project's files of a kind are changed. */
export function pageOfKind(project: Pick<Project, "kinds">, kind: Project["kinds"][number]): string {
  if (kind === "questions") return "documents";
  return PAGES.find((page) => page.kind === kind && project.kinds.includes(kind))?.page ?? "files";
}
