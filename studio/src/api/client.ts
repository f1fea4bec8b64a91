import createClient from "openapi-fetch";

import type { paths } from "./schema";

/** An error as the server tells it: what happened, with which value, and what to do next. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly todo?: string,
  ) {
    super(message);
  }
}

interface ErrorBody {
  error?: { message?: string; todo?: string };
}

/** Calls of the Studio's API, typed by its OpenAPI description. The session is a cookie; the header shows that a call comes from this page. */
export const api = createClient<paths>({ baseUrl: "/", headers: { "X-Studio-Page": "1" } });

/** The body of an answered call. Throws ApiError where the server refused, and where it could not be reached. */
export async function body<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let answer;
  try {
    answer = await call;
  } catch {
    throw new ApiError(0, "offline");
  }
  if (answer.response.ok) return answer.data as T;
  const told = (answer.error as ErrorBody | undefined)?.error;
  throw new ApiError(answer.response.status, told?.message ?? answer.response.statusText, told?.todo);
}
