import createClient from "openapi-fetch";

import type { paths } from "./schema";

/** The parts of an error, as the API and a failed run tell them. */
export interface ErrorParts {
  message?: string | undefined;
  what?: string | undefined;
  value?: string | undefined;
  todo?: string | undefined;
  kind?: string | undefined;
  file?: string | undefined;
  row?: number | undefined;
  column?: string | undefined;
  /** The message's code in the server's catalogues, and what fills it in. */
  message_code?: string | undefined;
  values?: Readonly<Record<string, unknown>> | undefined;
}

/** An error that the server told, or that it could not be reached (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly parts: ErrorParts,
  ) {
    super(parts.message);
  }
}

/** Calls of the Studio's API, typed by its OpenAPI description. The session is a cookie; the header shows that a call comes from this page. */
export const api = createClient<paths>({ baseUrl: "/", headers: { "X-Studio-Page": "1" } });

/** The body of an answered call. Throws ApiError where the server refused, and where it could not be reached. */
export async function body<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let answer;
  try {
    answer = await call;
  } catch {
    throw new ApiError(0, { message: "offline" });
  }
  if (answer.response.ok) return answer.data as T;
  const told = (answer.error as { error?: ErrorParts } | undefined)?.error;
  throw new ApiError(answer.response.status, { message: answer.response.statusText, ...withoutNull(told ?? {}) });
}

/** A file as the body of a call, sent as it is. */
export function fileBody(file: File) {
  return { body: file as unknown as string, bodySerializer: (sent: unknown) => sent as Blob, headers: { "Content-Type": "application/octet-stream" } };
}

function withoutNull(parts: ErrorParts): ErrorParts {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== null));
}
