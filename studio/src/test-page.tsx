import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { MemoryRouter } from "react-router";
import { vi } from "vitest";

import { startTranslation } from "./i18n";
import { ToastProvider } from "./ui/Overlay";

/** Draw a page in English, with what the server would answer, by the keys of the queries. Nothing is fetched. */
export async function drawn(page: ReactNode, answers: readonly (readonly [readonly unknown[], unknown])[], path = "/"): Promise<void> {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
  vi.stubGlobal("fetch", () => new Promise(() => undefined));
  await startTranslation();
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, retry: false } } });
  for (const [key, answer] of [[["session"], { name: "ann", role: "owner", permissions: ["view", "edit", "build", "manage"], has_accounts: false, accounts_needed: false }] as const, ...answers]) queries.setQueryData(key, answer);
  render(
    <QueryClientProvider client={queries}>
      <ToastProvider>
        <MemoryRouter initialEntries={[path]}>{page}</MemoryRouter>
      </ToastProvider>
    </QueryClientProvider>,
  );
}
